import { mkdirSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { FixtureImages } from '../lab/images.ts';
import { labDirectory, useLab } from '../lab/lab.ts';
import { fakeRegistry, logRegistry, type LoggingRegistry } from '../lab/logging-registry.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { startRegistry, type Registry } from '../lab/registry.ts';
import { until } from '../lab/until.ts';

/**
 * Who is sent which login. `ours` is the registry of `REGISTRY`, whose login must reach nobody else: not another real registry,
 * with or without a login of its own, nor one that lies about where tokens are to be had.
 */

const lab = useLab();
const fixtures = new FixtureImages(lab.dockerHost);
const OURS = { username: 'ours', password: 'secret-of-ours' };
const THEIRS = { username: 'theirs', password: 'secret-of-theirs' };
const print = ({ username, password }: typeof OURS): string => `${username}:${password}`;

let registries: Registry[];
let ours: LoggingRegistry;
let theirs: LoggingRegistry;
let open: LoggingRegistry;
/** On another address, as another machine: whatever is sent there is lost. */
let thief: LoggingRegistry;
let all: LoggingRegistry[];
let apps: Apps;

beforeAll(async () => {
  registries = await Promise.all([startRegistry({ labDir: lab.dir, login: OURS }), startRegistry({ labDir: lab.dir, login: THEIRS }), startRegistry({ labDir: lab.dir })]);
  [ours, theirs, open] = (await Promise.all(registries.map(({ host }) => logRegistry(host)))) as [LoggingRegistry, LoggingRegistry, LoggingRegistry];
  thief = await fakeRegistry('127.0.0.2', (_request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"token":"worthless"}'));
  all = [ours, theirs, open, thief];
  apps = new Apps('logins', { registry: ours.host, login: OURS });
  // Pushed straight to the registries: only pulls are to be in the logs.
  for (const [{ host }, login] of [[registries[0]!, OURS], [registries[1]!, THEIRS], [registries[2]!, undefined]] as const) {
    await fixtures.publish(`${host}/${apps.user}/web:main`, { from: 'tiny' }, login);
  }
});
afterAll(async () => {
  await fixtures.removeAllFrom(all.map(({ host }) => host));
  await Promise.all(all.map((each) => each.close()));
  await Promise.all(registries.map((each) => each.stop()));
});

/** A `DOCKER_CONFIG` directory, as `docker login` leaves it. */
function dockerConfig(logins: Readonly<Record<string, typeof OURS>>): string {
  const directory = labDirectory('docker-config');
  mkdirSync(directory, { recursive: true });
  const auths = Object.fromEntries(Object.entries(logins).map(([key, login]) => [key, { auth: Buffer.from(print(login)).toString('base64') }]));
  writeFileSync(join(directory, 'config.json'), JSON.stringify({ auths }));
  return directory;
}

const ways = {
  DOCKER_AUTH: (more: Readonly<Record<string, typeof OURS>>) => ({ REGISTRY: ours.host, DOCKER_AUTH: 'true', DOCKER_AUTH_USERNAME: OURS.username, DOCKER_AUTH_PASSWORD: OURS.password, DOCKER_CONFIG: dockerConfig(more) }),
  DOCKER_CONFIG: (more: Readonly<Record<string, typeof OURS>>) => ({ REGISTRY: ours.host, DOCKER_CONFIG: dockerConfig({ [`http://${ours.host}/v2/`]: OURS, ...more }) }),
};

describe.each(Object.keys(ways) as (keyof typeof ways)[])('logins from %s', (way) => {
  let pipes: PipesProcess;
  let liars: LoggingRegistry[] = [];

  beforeAll(async () => {
    pipes = await startPipes({ env: { ...ways[way]({ [theirs.host]: THEIRS }), PULL_REFRESH: '1s' } });
  });
  afterAll(async () => {
    await pipes.stop();
    await fixtures.removeAllFrom(liars.map(({ host }) => host));
    await Promise.all(liars.map((each) => each.close()));
    liars = [];
  });

  const manage = (app: App, path: string, method: string, body?: object): Promise<Answer> => request(pipes.port, { host: app.host, path: `/__proxyapi${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });
  const forget = (): void => [...all, ...liars].forEach(({ requests }) => requests.splice(0));
  /** An app that runs the image of this name. */
  async function appOf(image: string, repo: string): Promise<App> {
    const app = apps.app(`${repo}-${way.toLowerCase().replace('_', '-')}`);
    expect((await manage(app, '/container/config', 'PUT', { image })).status).toBe(200);
    return app;
  }
  async function liar(answer: RequestListener): Promise<LoggingRegistry> {
    const made = await fakeRegistry('127.0.0.1', answer);
    liars.push(made);
    return made;
  }
  /** A pull that cannot succeed, and with it the question which tags there are. */
  async function askedInVain(registry: LoggingRegistry, repo: string): Promise<Answer> {
    forget();
    const app = await appOf(`${registry.host}/${apps.user}/web:main`, repo);
    const answer = await request(pipes.port, { host: app.host });
    expect(answer.status).toBeGreaterThanOrEqual(404);
    expect(registry.requests.map(({ by }) => by)).toContain('engine');
    return answer;
  }

  it('reach the registry that they are for: for a pull, for the digest of a tag, and for the tags', async () => {
    forget();
    const app = apps.app('web');
    await fixtures.remove(app.image);
    expect((await request(pipes.port, { host: app.host })).status).toBe(200);
    await until('the tag was compared', () => ours.requests.some(({ method, by, authorization }) => method === 'HEAD' && by === 'pipes' && authorization !== undefined));
    expect((await request(pipes.port, { host: apps.app('web', 'nothing').host })).json()).toMatchObject({ code: 'image_not_found' });
    expect(ours.requests.some(({ path, by }) => by === 'pipes' && path.includes('/tags/list'))).toBe(true);
    expect(ours.requests.some(({ path, by }) => by === 'engine' && path.includes('/blobs/'))).toBe(true);
    expect([ours.logins(), theirs.logins(), open.logins()]).toEqual([[print(OURS)], [], []]);
    expect((await manage(app, '/container', 'DELETE')).status).toBe(200);
  });

  it('do not reach a registry that wants none, nor one that has one of its own', async () => {
    forget();
    for (const [registry, repo] of [[open, 'open'], [theirs, 'theirs']] as const) {
      const image = `${registry.host}/${apps.user}/web:main`;
      await fixtures.remove(image);
      const app = await appOf(image, repo);
      expect([repo, (await request(pipes.port, { host: app.host })).status]).toEqual([repo, 200]);
      await until('the tag was compared', () => registry.requests.some(({ method, by }) => method === 'HEAD' && by === 'pipes'));
      const gone = await appOf(`${registry.host}/${apps.user}/web:nothing`, `${repo}-gone`);
      expect((await request(pipes.port, { host: gone.host })).json()).toMatchObject({ code: 'image_not_found' });
      expect(registry.requests.some(({ path, by }) => by === 'pipes' && path.includes('/tags/list'))).toBe(true);
      for (const each of [app, gone]) await manage(each, '/container', 'DELETE');
    }
    expect([ours.logins(), theirs.logins(), open.logins()]).toEqual([[], [print(THEIRS)], []]);
  });

  it('do not reach a registry that asks for one, or that says tokens are to be had at ours', async () => {
    const challenges = [() => 'Basic realm="ours"', () => `Bearer realm="http://${ours.host}/v2/token",service="ours"`, () => `Bearer realm="http://${thief.host}/token",service="ours"`, () => `Basic realm="x", Bearer realm="http://${thief.host}/token"`];
    for (const [index, challenge] of challenges.entries()) {
      const registry = await liar((_request, response) => response.writeHead(401, { 'WWW-Authenticate': challenge() }).end());
      await askedInVain(registry, `asks-${index}`);
      expect([index, registry.logins().filter((login) => login !== 'Bearer worthless'), thief.logins(), ours.logins()]).toEqual([index, [], [], []]);
    }
  });

  it('do not go along when a registry sends its clients elsewhere', async () => {
    const registry = await liar((request_, response) => {
      if (request_.url === '/v2/') return response.writeHead(200, { 'Docker-Distribution-Api-Version': 'registry/2.0' }).end();
      return response.writeHead(307, { Location: `http://${ours.host}${request_.url ?? ''}` }).end();
    });
    await askedInVain(registry, 'sends');
    expect([registry.logins(), ours.logins(), thief.logins()]).toEqual([[], [], []]);
  });
});

describe('a registry that we have a login for', () => {
  let pipes: PipesProcess;
  let registry: LoggingRegistry;
  let answer: RequestListener;
  const OWN = { username: 'own', password: 'secret-of-own' };

  beforeAll(async () => {
    registry = await fakeRegistry('127.0.0.1', (incoming, response) => answer(incoming, response));
    pipes = await startPipes({ env: { ...ways.DOCKER_AUTH({ [registry.host]: OWN }), ALLOW: '*/*' } });
  });
  afterAll(async () => {
    await pipes.stop();
    await registry.close();
  });

  let count = 0;
  async function pull(): Promise<void> {
    for (const { requests } of [...all, registry]) requests.splice(0);
    const app = apps.app(`own-${count++}`);
    expect((await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { image: `${registry.host}/${apps.user}/web:main` } })).status).toBe(200);
    expect((await request(pipes.port, { host: app.host })).status).toBeGreaterThanOrEqual(404);
  }

  it('may name where its tokens are to be had, as for docker itself: that place gets this login, and no other', async () => {
    answer = (_request, response) => response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${thief.host}/token",service="own"` }).end();
    await pull();
    expect(thief.logins()).toEqual([print(OWN)]);
    expect(registry.logins()).toEqual(['Bearer worthless']);
    expect(ours.logins()).toEqual([]);
  });

  it('has its login given to nobody that the place of its tokens redirects to', async () => {
    answer = (incoming, response) => {
      if (incoming.url?.startsWith('/token') === true) return response.writeHead(307, { Location: `http://${thief.host}/token` }).end();
      return response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${registry.host}/token",service="own"` }).end();
    };
    await pull();
    expect(registry.requests.some(({ path, authorization }) => path.startsWith('/token') && authorization !== undefined)).toBe(true);
    expect([thief.logins(), ours.logins()]).toEqual([[], []]);
  });
});
