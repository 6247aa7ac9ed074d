import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request, type Answer, type RequestOptions } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { openWebSocket } from '../lab/web-socket.ts';

const PASSWORD = 'down the rabbit hole';
const BASIC = { authorization: `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}` };
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const WORK = /\/(?:images|containers)\/create$|\/(?:start|unpause)$/;

const apps = new Apps('door');
const containers = new EngineContainers(useLab().dockerHost);

/** Lets in who shows the cookie, as a login service does; all else goes to its login page. */
const questions: IncomingMessage[] = [];
const login = createServer((question, answer) => {
  questions.push(question);
  if (question.headers.cookie === 'session=alice') answer.writeHead(200, { 'Remote-User': 'alice', 'Set-Cookie': 'not=passed' }).end();
  else answer.writeHead(302, { 'Location': `https://login.example.com/?rd=${question.headers['x-forwarded-host'] as string}${question.headers['x-forwarded-uri'] as string}`, 'Set-Cookie': 'csrf=1' }).end('log in');
});
let loginUrl: string;
let engine: CountingEngine;
let pipes: PipesProcess;
let reader: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => login.listen(0, '127.0.0.1', resolve));
  loginUrl = `http://127.0.0.1:${(login.address() as AddressInfo).port}/verify`;
  engine = await countCalls(useLab().dockerHost);
  pipes = await startPipes({ dockerHost: engine.dockerHost, env: { TRUST_PROXY: '127.0.0.1', WAKE_RATE: '2/h' } });
  const made = await request(pipes.port, { host: 'localhost', path: '/tokens', method: 'POST', token: pipes.token, body: { name: 'reader', scopes: [`read:${apps.user}/*`] } });
  reader = made.json<{ token: string }>().token;
});
afterAll(async () => {
  await pipes.stop();
  await engine.close();
  login.closeAllConnections();
  await new Promise((resolve) => login.close(resolve));
});

const visit = (app: App, headers: Record<string, string> = {}, more: Partial<RequestOptions> = {}): Promise<Answer> => request(pipes.port, { host: app.host, headers, ...more });
const configure = async (app: App, config: object, level = 'container'): Promise<void> => {
  const answer = await request(pipes.port, { host: app.host, path: `/__proxyapi/${level}/config`, method: 'PUT', token: pipes.token, body: config });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
};
const opened = (app: App, headers: Record<string, string>): Promise<string> =>
  openWebSocket(pipes.port, app.host, '/', headers).then(
    async (socket) => {
      socket.send('hello');
      const echoed = (await socket.next()).toString();
      await socket.close();
      return echoed;
    },
    (error: unknown) => (error as Error).message,
  );

describe('whoever is refused', () => {
  it.each<[string, () => object | string, Record<string, string>, number]>([
    ['token', () => 'token', {}, 401],
    ['basic', () => ({ basic: { alice: PASSWORD } }), { authorization: `Basic ${Buffer.from('alice:wrong one').toString('base64')}` }, 401],
    ['forward', () => ({ forward: { url: loginUrl } }), { cookie: 'session=mallory' }, 302],
    ['forward, while its service is away', () => ({ forward: { url: 'http://127.0.0.1:1/' } }), {}, 503],
  ])('by %s starts nothing, upgrades nothing, sees no page and no events, and counts as no cold start', async (kind, access, headers, status) => {
    const app = await apps.publish(`shut-${kind.replace(/\W/g, '')}`, { from: 'tiny' });
    await configure(app, { access: access() });
    const before = engine.count(WORK);
    const address = { 'x-forwarded-for': `203.0.113.${status % 250}` };
    const asked = await Promise.all([
      ...[BROWSER, { 'user-agent': 'curl' }].map((more) => visit(app, { ...headers, ...address, ...more })),
      visit(app, { ...headers, ...address }, { path: '/__proxyapi/wake' }),
      visit(app, { ...headers, ...address }, { method: 'POST', body: Buffer.alloc(300_000) }),
    ]);
    expect(asked.map((answer) => answer.status)).toEqual([status, status, status, status]);
    for (const answer of asked) expect(answer.text).not.toContain('/__proxyapi/wake');
    expect(await opened(app, { ...headers, ...address })).toContain(String(status));
    expect(engine.count(WORK)).toBe(before);
    expect(await containers.of(app.reference)).toEqual([]);
    // Nothing was counted: this client may still start its two.
    await configure(app, { access: 'public' });
    expect((await visit(app, address)).status).toBe(200);
  });
});

describe('whoever is let in', () => {
  it('by a token wakes the app and visits it, and the app sees no token', async () => {
    const app = await apps.build('token');
    await configure(app, { access: 'token' });
    expect((await visit(app, { authorization: `Bearer ${reader}` })).text).toBe(greeting(app));
    const seen = (await visit(app, { 'x-pipes-token': reader, authorization: 'Bearer of-the-app' }, { path: '/echo' })).json<{ headers: Record<string, string> }>().headers;
    expect(seen).toMatchObject({ authorization: 'Bearer of-the-app' });
    expect(JSON.stringify(seen)).not.toContain(reader);
    expect(await opened(app, { 'x-pipes-token': reader })).toBe('hello');
    // Of a sleeper: nobody wakes it whom it does not know.
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container/stop', method: 'POST', token: pipes.token });
    expect((await visit(app)).status).toBe(401);
    expect((await containers.only(app.reference)).State.Running).toBe(false);
  });

  it('by a service brings its body along, and what the service says of them', async () => {
    const app = await apps.build('forward');
    await configure(app, { access: { forward: { url: loginUrl, headers: ['Remote-User'] } } });
    questions.length = 0;
    const refused = await visit(app, { 'remote-user': 'root' }, { path: '/a?b=c' });
    expect([refused.status, refused.headers['location'], refused.headers['set-cookie'], refused.text]).toEqual([302, `https://login.example.com/?rd=${app.host}/a?b=c`, ['csrf=1'], 'log in']);
    const answer = await visit(app, { cookie: 'session=alice', 'remote-user': 'root', 'remote_user': 'root' }, { method: 'POST', path: '/echo', body: 'the body' });
    const { headers, body } = answer.json<{ headers: Record<string, string>; body: string }>();
    expect([headers['remote-user'], headers['remote_user'], body, answer.headers['set-cookie']]).toEqual(['alice', undefined, 'the body', undefined]);
    expect(questions.map(({ method, headers: asked }) => [method, asked['x-forwarded-method'], asked['x-forwarded-uri'], asked['content-length']])).toEqual([
      ['GET', 'GET', '/a?b=c', undefined],
      ['GET', 'POST', '/echo', undefined],
    ]);
    expect(await opened(app, { cookie: 'session=alice' })).toBe('hello');
  });
});

describe('a password', () => {
  it('opens the app by every host, stays out of everything that is kept, logged and shown, and a change of it holds at once', async () => {
    const app = await apps.build('basic');
    await configure(app, { env: { A: 'b' }, access: { basic: { alice: PASSWORD } } });
    expect((await visit(app, BASIC)).text).toBe(greeting(app));
    const seen = (await visit(app, BASIC, { path: '/echo', host: `main--basic--${apps.user}.localhost` })).json<{ headers: object }>().headers;
    expect(seen).not.toHaveProperty('authorization');
    const shown = await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', token: pipes.token });
    expect(shown.json()).toEqual({ env: { A: 'b' }, access: { basic: { alice: '***' } } });
    const kept = (): string => readFileSync(join(pipes.configDir, 'pipes.json'), 'utf8');
    const before = kept();
    await configure(app, shown.json());
    expect(/\$scrypt\$[^"]*/.exec(kept())?.[0]).toBe(/\$scrypt\$[^"]*/.exec(before)?.[0]);
    for (const text of [kept(), pipes.output(), shown.text]) expect(text).not.toMatch(/rabbit|ZG93biB0aGUgcmFi/);
    expect(pipes.output()).not.toContain('$scrypt$');
    expect((await visit(app, BASIC)).text).toBe(greeting(app));
    const servedBy = async (headers = {}): Promise<string> => (await visit(app, headers, { path: '/whoami' })).json<{ hostname: string }>().hostname;
    const present = await servedBy(BASIC);
    await configure(app, { env: { A: 'b' }, access: { basic: { alice: 'another password' } } });
    expect((await visit(app, BASIC)).status).toBe(401);
    await configure(app, { env: { A: 'b' } });
    await configure(app, { access: 'token' }, 'repository');
    expect((await visit(app, BASIC)).status).toBe(401);
    await configure(app, {}, 'repository');
    expect((await visit(app)).text).toBe(greeting(app));
    // No change of access alone replaced the container.
    expect(await servedBy()).toBe(present);
  });
});

describe('a container', () => {
  it('that somebody started by hand is as guarded as any', async () => {
    const app = await apps.build('foreign');
    const id = await containers.run(app.image);
    expect((await visit(app)).text).toBe(greeting(app));
    await configure(app, { access: 'token' });
    expect((await visit(app)).status).toBe(401);
    expect((await visit(app, { 'x-pipes-token': reader })).text).toBe(greeting(app));
    await containers.remove(id);
  });

  it('that pipes takes over when it starts again is too', async () => {
    const app = await apps.build('adopted');
    await configure(app, { access: { basic: { alice: PASSWORD } } });
    expect((await visit(app, BASIC)).text).toBe(greeting(app));
    const [id] = await containers.of(app.reference);
    await pipes.kill();
    pipes = await startPipes({ dockerHost: engine.dockerHost, configDir: pipes.configDir, env: { TRUST_PROXY: '127.0.0.1', WAKE_RATE: '2/h' } });
    expect((await visit(app)).status).toBe(401);
    expect((await visit(app, BASIC)).text).toBe(greeting(app));
    expect(await containers.of(app.reference)).toEqual([id]);
  });
});
