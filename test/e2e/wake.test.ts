import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { labDirectory, useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { canTrace, diskCallsDuring } from '../lab/syscalls.ts';

const apps = new Apps('wake');
const containers = new EngineContainers(useLab().dockerHost);
const PULL = /^POST \/images\/create$/;
const CREATE = /^POST \/containers\/create$/;

let engine: CountingEngine;
let pipes: PipesProcess;

beforeAll(async () => {
  engine = await countCalls(useLab().dockerHost);
  pipes = await startPipes({ dockerHost: engine.dockerHost });
});
afterAll(async () => {
  await pipes.stop();
  await engine.close();
});

const visit = (host: string, path = '/') => request(pipes.port, { host: `${host}:8080`, path });

describe('the first request', () => {
  it('pulls, creates, starts and waits for an image that is absent', async () => {
    const app = await apps.publish('absent');
    expect(await apps.images.id(app.image)).toBeUndefined();
    const answer = await visit(app.host);
    expect([answer.status, answer.text]).toEqual([200, greeting(app)]);
    expect(await apps.images.id(app.image)).toMatch(/^sha256:/);
    const { Name, Config, State } = await containers.only(app.reference);
    expect(Name).toMatch(new RegExp(`^/pipes-${apps.user}-absent-main-[0-9a-f]{6}$`));
    expect(Config.Labels).toMatchObject({ 'pipes.reference': app.reference, 'pipes.managed': 'true' });
    expect(Config.Labels['pipes.owner']).toMatch(/^\S{8,}$/);
    expect(Config.Labels['pipes.config']).toMatch(/^[0-9a-f]{8,}$/);
    expect(State.Running).toBe(true);
  });

  it('asks no registry for an image that is present', async () => {
    const app = await apps.build('present');
    const pulls = engine.count(PULL);
    expect((await visit(app.host)).text).toBe(greeting(app));
    expect(engine.count(PULL)).toBe(pulls);
  });

  it('shows its state on the way: pulling, starting, running', async () => {
    const app = await apps.publish('stages', { ballastBytes: 30_000_000, env: { LISTEN_AFTER_MS: '500' } });
    const states = new Set<string>();
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) states.add((await request(pipes.port, { host: app.host, path: '/__proxyapi/container', token: pipes.token })).json<{ state: string }>().state);
    })();
    expect((await visit(app.host)).text).toBe(greeting(app));
    over.abort();
    await watching;
    expect([...states]).toEqual(expect.arrayContaining(['pulling', 'starting', 'running']));
  });

  it('starts a container that is stopped again, and makes no new one', async () => {
    const app = await apps.build('stopped');
    await visit(app.host);
    const { Id } = await containers.only(app.reference);
    const stopped = await request(pipes.port, { host: app.host, path: '/__proxyapi/container/stop', method: 'POST', token: pipes.token });
    expect(stopped.json()).toMatchObject({ state: 'stopped', containerId: Id });
    expect((await containers.inspect(Id)).State.Running).toBe(false);
    expect((await visit(app.host)).text).toBe(greeting(app));
    expect((await containers.only(app.reference)).Id).toBe(Id);
  });

  it('holds a request until an app that listens late is ready', async () => {
    const app = await apps.build('late', { env: { LISTEN_AFTER_MS: '1500' } });
    expect((await visit(app.host)).text).toBe(greeting(app));
  });

  it('waits for the readiness path, to which anything below 500 is alive', async () => {
    const app = await apps.build('ready', { env: { READY_AFTER_MS: '1000' } });
    const put = await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { readiness: { path: '/ready' } } });
    expect(put.status).toBe(200);
    expect((await visit(app.host, '/ready')).text).toBe('ready\n');
    const missing = await apps.build('ready-404');
    await request(pipes.port, { host: missing.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { readiness: { path: '/no-such-path', timeout: '10s' } } });
    expect((await visit(missing.host)).text).toBe(greeting(missing));
  });

  it('finds the port: the one exposed, of several the preferred, the configured one before all', async () => {
    const one = await apps.build('port-one', { expose: ['4321'], env: { PORT: '4321' } });
    const several = await apps.build('port-several', { expose: ['9000', '3000', '8080'], env: { PORT: '8080' } });
    const none = await apps.build('port-none', { expose: [] });
    const configured = await apps.build('port-configured', { expose: ['4321'], env: { PORT: '7777' } });
    await request(pipes.port, { host: configured.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { port: 7777 } });
    for (const app of [one, several, none, configured]) expect((await visit(app.host)).text).toBe(greeting(app));
  });
});

describe('200 first requests at once', () => {
  it('make one pull and one container', async () => {
    const app = await apps.publish('crowd', { ballastBytes: 1_000_000 });
    const before = { pulls: engine.count(PULL), creates: engine.count(CREATE) };
    const answers = await Promise.all(Array.from({ length: 200 }, () => visit(app.host)));
    expect(new Set(answers.map((answer) => `${answer.status} ${answer.text}`))).toEqual(new Set([`200 ${greeting(app)}`]));
    expect(engine.count(PULL) - before.pulls).toBe(1);
    expect(engine.count(CREATE) - before.creates).toBe(1);
    expect(await containers.of(app.reference)).toHaveLength(1);
  });

  it('wake a stopped one once', async () => {
    const app = await apps.build('crowd-stopped');
    await visit(app.host);
    const { Id } = await containers.only(app.reference);
    await containers.stop(Id);
    const startCalls = new RegExp(`^POST /containers/${Id}/start$`);
    const before = engine.count(startCalls);
    const answers = await Promise.all(Array.from({ length: 200 }, () => visit(app.host)));
    expect(new Set(answers.map((answer) => `${answer.status} ${answer.text}`))).toEqual(new Set([`200 ${greeting(app)}`]));
    expect(engine.count(startCalls) - before).toBe(1);
  });
});

describe('a warm request', () => {
  let app: App;

  beforeAll(async () => {
    app = await apps.build('warm');
    await visit(app.host);
  });

  const hundred = async (): Promise<void> => {
    for (let count = 0; count < 100; count += 1) expect((await visit(app.host)).text).toBe(greeting(app));
  };

  it('asks the engine nothing', async () => {
    // Every 30 s pipes compares what it knows with the engine; a window that this fell into says nothing of requests.
    const windows: string[][] = [];
    while (windows.length < 3 && !windows.some((calls) => calls.length === 0)) {
      const before = engine.calls().length;
      await hundred();
      windows.push(engine.calls().slice(before));
    }
    expect(windows).toContainEqual([]);
  });

  it.skipIf(!canTrace())('touches no file', async () => {
    const windows: string[][] = [];
    while (windows.length < 3 && !windows.some((calls) => calls.length === 0)) windows.push(await diskCallsDuring(pipes.pid, hundred));
    expect(windows).toContainEqual([]);
    // The same watch sees what is one.
    const write = await diskCallsDuring(pipes.pid, async () => {
      await request(pipes.port, { host: apps.app('other').host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { env: { A: '1' } } });
    });
    expect(write.some((line) => /fsync|fdatasync/.test(line))).toBe(true);
  });
});

describe('a name', () => {
  it('means `latest` without a tag, in both forms', async () => {
    const app = await apps.build('plain', {}, 'latest');
    for (const host of [app.host, `plain--${apps.user}.localhost`, `latest.${app.host}`, `${app.host.toUpperCase()}.`]) expect((await visit(host)).text).toBe(greeting(app));
    expect(await containers.of(app.reference)).toHaveLength(1);
  });

  it('stands below any base: the registrable domain by the public suffix list, or so many labels', async () => {
    const app = await apps.build('based', { from: 'tiny' });
    const name = `main.based.${apps.user}`;
    for (const base of ['example.com', 'example.co.uk', 'me.duckdns.org', 'localhost']) expect((await visit(`${name}.${base}`)).text).toBe(`${app.reference}\n`);
    const other = await startPipes({ env: { DOMAINLEVELS: '3' } });
    try {
      expect((await request(other.port, { host: `${name}.apps.example.com` })).text).toBe(`${app.reference}\n`);
    } finally {
      await other.stop();
    }
  });

  it('carries dots in its tag, in both forms', async () => {
    const app = await apps.publish('dotted', {}, 'v1.2.3');
    expect(app.host).toBe(`v1.2.3.dotted.${apps.user}.localhost`);
    for (const host of [app.host, `v1z-d2z-d3--dotted--${apps.user}.localhost`]) expect((await visit(host)).text).toBe(greeting(app));
    expect(await containers.of(app.reference)).toHaveLength(1);
  });

  it('finds the one tag that differs by case alone, in the registry', async () => {
    const app = await apps.publish('cased', {}, 'Release');
    expect(app.host).toMatch(/^release\./);
    expect((await visit(app.host)).text).toBe(greeting(app));
    expect((await visit(app.host)).text).toBe(greeting(app));
    expect((await visit(`z-crelease--cased--${apps.user}.localhost`)).text).toBe(greeting(app));
    expect(await containers.of(app.reference)).toHaveLength(1);
    expect(await containers.of(`${apps.user}/cased:release`)).toHaveLength(0);
  });

  it('finds it among the images that are here', async () => {
    const app = await apps.build('cased-local', {}, 'Beta');
    expect((await visit(app.host)).text).toBe(greeting(app));
  });

  it('is the tag as written where both exist', async () => {
    const [upper, lower] = [await apps.publish('both', {}, 'Release'), await apps.publish('both', {}, 'release')];
    expect((await visit(lower.host)).text).toBe(greeting(lower));
    expect((await visit(`z-crelease--both--${apps.user}.localhost`)).text).toBe(greeting(upper));
  });

  it('is ambiguous between two that differ by case alone; both are named', async () => {
    await apps.publish('twice', {}, 'Release');
    await apps.publish('twice', {}, 'RELEASE');
    const answer = await visit(`release.twice.${apps.user}.localhost`);
    expect(answer.status).toBe(409);
    expect(answer.json()).toMatchObject({ code: 'tag_ambiguous' });
    expect(answer.json<{ detail: string }>().detail).toMatch(/twice:Release\b.*twice:RELEASE\b|twice:RELEASE\b.*twice:Release\b/);
  });

  it('means an official image below `library`, and below `_`', async () => {
    const name = `${apps.user}-official`;
    await apps.images.build(`${name}:latest`, { from: 'mimic', env: { VERSION: name } });
    try {
      for (const host of [`${name}.library.localhost`, `${name}._.localhost`, `${name}--_.localhost`, `${name}--library.localhost`]) expect((await visit(host)).text).toBe(`mimic ${name}\n`);
      expect(await containers.of(`library/${name}:latest`)).toHaveLength(1);
    } finally {
      for (const id of await containers.of(`library/${name}:latest`)) await containers.remove(id);
      await apps.images.remove(`${name}:latest`);
    }
  });
});

describe('a private registry', () => {
  const { authRegistry } = useLab();
  const { host: registry, ...login } = authRegistry;
  // Two megabytes: each registry is sent every layer anew.
  const TINY = { from: 'tiny' } as const;
  const secret = new Apps('private', { registry, login });

  it('is logged in to with DOCKER_AUTH', async () => {
    const app = await secret.publish('own', TINY);
    const other = await startPipes({ env: { REGISTRY: registry, DOCKER_AUTH: 'true', DOCKER_AUTH_USERNAME: login.username, DOCKER_AUTH_PASSWORD: login.password } });
    try {
      expect((await request(other.port, { host: app.host })).text).toBe(`${app.reference}\n`);
      expect(other.output()).not.toContain(login.password);
    } finally {
      await other.stop();
    }
  });

  it('is logged in to as `docker login` wrote it, and its tags are found in any case', async () => {
    const app = await secret.publish('config', TINY);
    const cased = await secret.publish('config', TINY, 'Stable');
    const directory = labDirectory('docker-config');
    mkdirSync(directory, { recursive: true });
    const auths = { 'https://index.docker.io/v1/': { auth: Buffer.from('nobody:nothing').toString('base64') }, [registry]: { auth: Buffer.from(`${login.username}:${login.password}`).toString('base64') } };
    writeFileSync(join(directory, 'config.json'), JSON.stringify({ auths, credHelpers: { 'registry.example.com': 'ecr-login' } }));
    const other = await startPipes({ env: { REGISTRY: registry, DOCKER_CONFIG: directory } });
    try {
      expect((await request(other.port, { host: app.host })).text).toBe(`${app.reference}\n`);
      expect((await request(other.port, { host: cased.host })).text).toBe(`${cased.reference}\n`);
      expect(other.output()).toContain('ecr-login');
      expect(other.output()).not.toContain(login.password);
    } finally {
      await other.stop();
    }
  });

  it('that refuses the login is 502 registry_denied; without any login there is no such image', async () => {
    const app = await secret.publish('refused', TINY);
    const [wrong, none] = await Promise.all([
      startPipes({ env: { REGISTRY: registry, DOCKER_AUTH: 'true', DOCKER_AUTH_USERNAME: login.username, DOCKER_AUTH_PASSWORD: 'not-the-password' } }),
      startPipes({ env: { REGISTRY: registry } }),
    ]);
    try {
      const denied = await request(wrong.port, { host: app.host });
      expect([denied.status, denied.json()['code']]).toEqual([502, 'registry_denied']);
      expect(denied.text).not.toContain('not-the-password');
      const absent = await request(none.port, { host: app.host });
      expect([absent.status, absent.json()['code']]).toEqual([404, 'image_not_found']);
    } finally {
      await Promise.all([wrong.stop(), none.stop()]);
    }
  });
});
