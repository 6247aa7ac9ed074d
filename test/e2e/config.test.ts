import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineHttp } from '../lab/engine-http.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { freshConfigDir, startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { openRawSocket } from '../lab/raw-socket.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('config');
const containers = new EngineContainers(useLab().dockerHost);
const volumes = new Set<string>();
let pipes: PipesProcess;

beforeAll(async () => {
  pipes = await startPipes({ env: { DRAIN_TIMEOUT: '5s' } });
});
afterAll(async () => {
  await pipes.stop();
  for (const app of volumes) for (const id of await containers.of(app)) await containers.remove(id);
  for (const name of volumes) await engineHttp(useLab().dockerHost, `/volumes/${volumeOf(name)}?force=true`, { method: 'DELETE' });
});

const api = (app: App, path: string, method: string, body?: object | string, token = pipes.token) =>
  request(pipes.port, { host: app.host, path: `/__proxyapi${path}`, method, token, ...(body === undefined ? {} : { body }) });
const put = (app: App, config: object) => api(app, '/container/config', 'PUT', config);
const version = async (app: App) => (await request(pipes.port, { host: app.host, path: '/whoami' })).json<{ version: string }>().version;

/** `pipes..<user>..<repo>..data` of `user/repo:tag`. */
function volumeOf(reference: string): string {
  const [user, repo] = reference.replace(/:.*$/, '').split('/');
  return `pipes..${user!}..${repo!}..data`;
}

/** So many clients, each with one request after the other, until it is stopped. */
function load(app: App, clients: number): { stop(): Promise<Answer[]> } {
  const over = new AbortController();
  const done = Promise.all(
    Array.from({ length: clients }, async () => {
      const answers: Answer[] = [];
      while (!over.signal.aborted) {
        answers.push(await request(pipes.port, { host: app.host, path: '/whoami' }));
        await wait(5);
      }
      return answers;
    }),
  );
  return {
    async stop() {
      over.abort();
      return (await done).flat();
    },
  };
}

describe('the configuration of a container', () => {
  it('is stored while there is none, and what it is made of at its first request', async () => {
    const app = await apps.build('stored');
    const config = { env: { VERSION: 'configured' }, memory: '96m', cpus: 0.5, pids: 100 };
    const answer = await put(app, config);
    expect([answer.status, answer.json()]).toMatchObject([200, { reference: app.reference, state: 'absent', config }]);
    expect((await api(app, '/container/config', 'GET')).json()).toEqual(config);
    expect(await version(app)).toBe('configured');
    expect((await containers.only(app.reference)).HostConfig).toMatchObject({ Memory: 96 * 1024 ** 2, NanoCpus: 5e8, PidsLimit: 100 });
  });

  it('replaces a running one at once, new beside old, and loses no request', async () => {
    const app = await apps.build('overlap', { env: { LISTEN_AFTER_MS: '300' } });
    expect(await version(app)).toBe(app.reference);
    const before = await containers.only(app.reference);
    // One that is inside may finish.
    const slow = request(pipes.port, { host: app.host, path: '/slow?ms=1500' });
    const requests = load(app, 4);
    const answer = await put(app, { env: { VERSION: 'two' } });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ state: 'running', error: null });
    expect(await version(app)).toBe('two');
    expect((await slow).text).toBe('slow\n');
    await until('the old one is gone', async () => !(await containers.exists(before.Id)));
    const answers = await requests.stop();
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const versions = answers.map((each) => each.json<{ version: string }>().version);
    expect(new Set(versions)).toEqual(new Set([app.reference, 'two']));
    expect((await containers.only(app.reference)).Id).not.toBe(before.Id);
  });

  it('with a writable volume stops the old one first; requests are held, and the volume stays', async () => {
    const app = await apps.build('volume', { from: 'tiny', command: ['/bin/sh', '-c', 'echo "$VERSION" >> /data/starts; [ -e /data/running ] && echo twice >> /data/starts; echo > /data/running; trap "rm /data/running; exit" TERM; mkdir -p /www; ln -sf /data/starts /www/starts; httpd -p 80 -h /www; while :; do sleep 0.05; done'] });
    volumes.add(app.reference);
    const starts = async () => (await request(pipes.port, { host: app.host, path: '/starts' })).text;
    await put(app, { env: { VERSION: 'one' }, volumes: ['data:/data'] });
    expect(await starts()).toBe('one\n');
    expect((await containers.only(app.reference)).Mounts).toMatchObject([{ Name: volumeOf(app.reference), Destination: '/data' }]);
    const over = new AbortController();
    const held = (async () => {
      const statuses: number[] = [];
      while (!over.signal.aborted) statuses.push((await request(pipes.port, { host: app.host, path: '/starts' })).status);
      return statuses;
    })();
    expect((await put(app, { env: { VERSION: 'two' }, volumes: ['data:/data'] })).status).toBe(200);
    over.abort();
    expect(new Set(await held)).toEqual(new Set([200]));
    // Never two at once on it.
    expect(await starts()).toBe('one\ntwo\n');
    // The volume outlives its container.
    await api(app, '/container', 'DELETE');
    expect(await containers.of(app.reference)).toEqual([]);
    expect(await starts()).toBe('one\ntwo\ntwo\n');
  });

  it.each(['overlap', 'stop-first'])('whose container fails (%s) leaves the old one serving, and the state says why', async (replace) => {
    const app = await apps.build(`failing-${replace}`);
    await put(app, { env: { VERSION: 'good' }, replace });
    expect(await version(app)).toBe('good');
    const before = await containers.only(app.reference);
    const failed = await put(app, { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '5', PRINT_LINES: '3' }, replace });
    expect(failed.status).toBe(502);
    expect(failed.json()).toMatchObject({ code: 'instance_failed', exitCode: 5, lines: expect.arrayContaining(['line 3']) as string[] });
    expect(await version(app)).toBe('good');
    expect((await containers.only(app.reference)).Id).toBe(before.Id);
    expect((await api(app, '/container', 'GET')).json()).toMatchObject({ state: 'running', error: { code: 'instance_failed' } });
    const unready = await put(app, { env: { PORT: 'none' }, readiness: { timeout: '1s' }, replace });
    expect([unready.status, unready.json()['code']]).toEqual([502, 'instance_not_ready']);
    expect(await version(app)).toBe('good');
    // And a good one mends it.
    expect((await put(app, { env: { VERSION: 'better' }, replace })).status).toBe(200);
    expect(await version(app)).toBe('better');
    expect((await api(app, '/container', 'GET')).json()).toMatchObject({ state: 'running', error: null });
  });

  it('makes a stopped one anew at the next request', async () => {
    const app = await apps.build('stopped');
    await version(app);
    const before = await containers.only(app.reference);
    await api(app, '/container/stop', 'POST');
    expect((await put(app, { env: { VERSION: 'anew' } })).json()).toMatchObject({ state: 'stopped' });
    expect(await version(app)).toBe('anew');
    expect((await containers.only(app.reference)).Id).not.toBe(before.Id);
  });

  it('answers 202 at once where nobody waits', async () => {
    const app = await apps.build('unawaited', { env: { LISTEN_AFTER_MS: '500' } });
    await version(app);
    const answer = await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config?wait=false', method: 'PUT', token: pipes.token, body: { env: { VERSION: 'later' } } });
    expect(answer.status).toBe(202);
    await until('it has come', async () => (await version(app)) === 'later');
  });

  it('may name another image', async () => {
    const [app, other] = [apps.app('named'), await apps.publish('other')];
    await put(app, { image: other.image });
    expect((await request(pipes.port, { host: app.host })).text).toBe(greeting(other));
    expect((await containers.only(app.reference)).Config.Labels['pipes.reference']).toBe(app.reference);
  });
});

describe('orders', () => {
  it('start, restart, stop and remove, and answer with the state', async () => {
    const app = await apps.build('orders');
    expect((await api(app, '/container', 'GET')).json()).toMatchObject({ state: 'absent', containerId: null, upstream: null, inFlight: 0 });
    const started = (await api(app, '/container/start', 'POST')).json<{ containerId: string }>();
    expect(started).toMatchObject({ reference: app.reference, image: app.image, state: 'running', managed: true, error: null, startedAt: expect.stringMatching(/^\d{4}-/) as string });
    const restarted = (await api(app, '/container/restart', 'POST')).json<{ containerId: string }>();
    expect(restarted).toMatchObject({ state: 'running' });
    expect(restarted.containerId).not.toBe(started.containerId);
    expect((await api(app, '/container/stop', 'GET')).json()).toMatchObject({ state: 'stopped', containerId: restarted.containerId });
    expect((await api(app, '/container', 'DELETE')).json()).toMatchObject({ state: 'absent' });
    expect(await containers.exists(restarted.containerId)).toBe(false);
    // The one that was replaced drains for a moment longer.
    await until('none is left', async () => (await containers.of(app.reference)).length === 0);
    expect(await version(app)).toBe(app.reference);
  });

  it('are done one after the other, and requests meanwhile are served', async () => {
    const app = await apps.build('many-orders');
    await version(app);
    const requests = load(app, 3);
    const orders = await Promise.all([api(app, '/container/stop', 'POST'), api(app, '/container/restart', 'POST'), put(app, { env: { VERSION: 'in between' } }), api(app, '/container', 'DELETE'), api(app, '/container/start', 'POST')]);
    expect(orders.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect((await requests.stop()).filter(({ status }) => status !== 200)).toEqual([]);
    await until('one container is left', async () => (await containers.of(app.reference)).length === 1);
  });
});

describe('the configuration of a repository', () => {
  it('is every tag\'s default; a container\'s own goes before it, key by key', async () => {
    const [one, two] = [await apps.build('repo', {}, 'one'), await apps.build('repo', {}, 'two')];
    await put(two, { env: { VERSION: 'two itself' }, pids: 50 });
    for (const app of [one, two]) await version(app);
    const stored = await api(one, '/repository/config', 'PUT', { env: { VERSION: 'of all', OTHER: '1' }, memory: '128m' });
    expect(stored.status).toBe(200);
    expect((await api(two, '/repository/config', 'GET')).json()).toEqual({ env: { VERSION: 'of all', OTHER: '1' }, memory: '128m' });
    // Taken at the next start,
    expect(await version(one)).toBe(one.reference);
    await api(one, '/container/stop', 'POST');
    expect(await version(one)).toBe('of all');
    // or at once.
    expect((await api(one, '/repository/config?restart=true', 'PUT', { env: { VERSION: 'of all', OTHER: '2' }, memory: '128m' })).status).toBe(200);
    // The old ones drain for a moment beside the new.
    await until('each has one container', async () => (await containers.of(one.reference)).length === 1 && (await containers.of(two.reference)).length === 1);
    const own = await containers.only(two.reference);
    expect(own.Config.Env).toEqual(expect.arrayContaining(['VERSION=two itself', 'OTHER=2']));
    expect(own.HostConfig).toMatchObject({ Memory: 128 * 1024 ** 2, PidsLimit: 50 });
    expect((await containers.only(one.reference)).Config.Env).toEqual(expect.arrayContaining(['VERSION=of all', 'OTHER=2']));
  });
});

describe('a body', () => {
  it('that is faulty is 400 with every fault named, and changes nothing', async () => {
    const app = await apps.build('faulty');
    await put(app, { env: { VERSION: 'kept' } });
    const answer = await put(app, { port: 70_000, memory: 'much', unknown: 1, volumes: ['nonsense'], readiness: { path: 'no-slash', other: true } });
    expect([answer.status, answer.json()['code']]).toEqual([400, 'invalid_request']);
    const faults = answer.json<{ faults: { path: string }[] }>().faults.map(({ path }) => path);
    expect(faults.sort()).toEqual(['memory', 'port', 'readiness.other', 'readiness.path', 'unknown', 'volumes[0]']);
    for (const body of ['{"env":', '[]', '"text"', '']) {
      const refused = await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body });
      expect([body, refused.status, refused.json()['code']]).toEqual([body, 400, 'invalid_request']);
    }
    expect((await api(app, '/container/config', 'GET')).json()).toEqual({ env: { VERSION: 'kept' } });
  });

  it('over 1 MB is 413, told or not', async () => {
    const app = apps.app('faulty');
    const big = JSON.stringify({ env: { A: 'x'.repeat(1_100_000) } });
    const told = await api(app, '/container/config', 'PUT', big);
    expect([told.status, told.json()['code']]).toEqual([413, 'body_too_large']);
    const socket = await openRawSocket(pipes.port);
    socket.write(`PUT /__proxyapi/container/config HTTP/1.1\r\nHost: ${app.host}\r\nAuthorization: Bearer ${pipes.token}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    socket.write(`${big.length.toString(16)}\r\n${big}\r\n`);
    await socket.until(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });
});

describe('a caller', () => {
  it('without a token is 401, with one that reaches less far 403', async () => {
    const [mine, theirs] = [apps.app('mine'), apps.app('theirs')];
    const made = await request(pipes.port, { host: 'localhost', path: '/tokens', method: 'POST', token: pipes.token, body: { name: 'narrow', scopes: [`deploy:${apps.user}/mine`] } });
    expect(made.status).toBe(201);
    const { token } = made.json<{ token: string }>();
    const paths = [['/container', 'GET'], ['/container', 'DELETE'], ['/container/config', 'GET'], ['/container/config', 'PUT'], ['/container/start', 'POST'], ['/container/stop', 'GET'], ['/repository/config', 'PUT']] as const;
    for (const [path, method] of paths) {
      const body = method === 'PUT' ? { body: {} } : {};
      const nobody = await request(pipes.port, { host: theirs.host, path: `/__proxyapi${path}`, method, ...body });
      expect([path, nobody.status, nobody.json()['code'], nobody.headers['www-authenticate']]).toEqual([path, 401, 'unauthorized', 'Bearer']);
      const narrow = await request(pipes.port, { host: theirs.host, path: `/__proxyapi${path}`, method, token, ...body });
      expect([path, narrow.status, narrow.json()['code']]).toEqual([path, 403, 'forbidden']);
    }
    expect((await api(mine, '/container/config', 'PUT', { env: { A: '1' } }, token)).status).toBe(200);
    for (const config of [{ volumes: ['/etc:/host'] }, { volumes: ['external:other:/data'] }, { labels: { a: 'b' } }, { image: theirs.image }]) {
      expect([config, (await api(mine, '/container/config', 'PUT', config, token)).status]).toEqual([config, 403]);
    }
    expect((await api(mine, '/container/config', 'GET', undefined, token)).json()).toEqual({ env: { A: '1' } });
    await request(pipes.port, { host: 'localhost', path: '/tokens/narrow', method: 'DELETE', token: pipes.token });
    expect((await api(mine, '/container', 'GET', undefined, token)).status).toBe(401);
  });
});

describe('what was answered as stored', () => {
  it('is there after kill -9 at any moment of writing', async () => {
    const configDir = freshConfigDir();
    const app = apps.app('durable');
    let last = -1;
    for (let round = 0; round < 12; round += 1) {
      const writer = await startPipes({ configDir });
      const stored = (await request(writer.port, { host: app.host, path: '/__proxyapi/container/config', token: writer.token })).json<{ env?: { N: string } }>();
      const found = Number(stored.env?.N ?? -1);
      // The one that was under way may have come in or not; nothing before it is lost.
      expect(found).toBeGreaterThanOrEqual(last);
      expect(found).toBeLessThanOrEqual(last + 1);
      last = found;
      const writing = (async () => {
        for (;;) {
          const answer = await request(writer.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: writer.token, body: { env: { N: String(last + 1), FILL: 'x'.repeat(20_000) } } });
          if (answer.status === 200) last += 1;
        }
      })().catch(() => undefined);
      await wait(40 + round * 17);
      await writer.kill();
      await writing;
      expect(JSON.parse(readFileSync(join(configDir, 'pipes.json'), 'utf8'))).toBeTypeOf('object');
    }
    expect(last).toBeGreaterThan(12);
  });
});
