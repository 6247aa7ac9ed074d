import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/core/log.ts';
import { RequestTally } from '../../../src/core/request-tally.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { Door } from '../../../src/proxy/door.ts';
import { Forwarder } from '../../../src/proxy/forwarder.ts';
import { HostCache } from '../../../src/proxy/host-cache.ts';
import { ProxyServer } from '../../../src/proxy/proxy-server.ts';
import { QuietRules } from '../../../src/proxy/quiet.ts';
import { Credentials } from '../../../src/security/api/credentials.ts';
import { parseScope } from '../../../src/security/api/scopes.ts';
import type { StoredToken } from '../../../src/security/api/token-store.ts';
import { ForwardAuth } from '../../../src/security/proxy/forward-auth.ts';
import { PasswordCheck } from '../../../src/security/proxy/password-check.ts';
import { PasswordHasher } from '../../../src/security/proxy/password-hasher.ts';
import { Visitors } from '../../../src/security/proxy/visitors.ts';
import { AccessRules } from '../../../src/targets/access-rules.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import type { TargetConfig } from '../../../src/targets/target-config.ts';
import { routeTable } from '../../fakes/memory-domains.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { request, type Answer } from '../../lab/http-client.ts';
import { header, OPEN_OPTIONS, RawClient } from './rig.ts';

const KEY = 'alice/web:main';
const HOST = 'main.web.alice.localhost';
const FLAT = 'main--web--alice.localhost';
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

let bench: TableBench;
let server: ProxyServer;
let forwarder: Forwarder;
let forwardAuth: ForwardAuth;
let port: number;
let auth: Server;
let authUrl: string;
/** What the service was asked, and how it answers. */
let asked: IncomingMessage[];
let decide: (request: IncomingMessage, response: ServerResponse) => void;
let credentials: Credentials;
let admitted: number;

beforeEach(async () => {
  admitted = 0;
  bench = makeTable({
    admitColdStart: () => {
      admitted += 1;
      return undefined;
    },
  });
  const tokens = new Map<string, StoredToken>();
  const store = { tokens: () => [...tokens.values()], putToken: (token: StoredToken) => Promise.resolve(void tokens.set(token.name, token)), removeToken: (name: string) => Promise.resolve(tokens.delete(name)) };
  credentials = new Credentials({ store, apiToken: undefined, isOpen: false, nowMs: Date.now });
  forwardAuth = new ForwardAuth(5_000);
  const visitors = new Visitors({ credentials, passwords: new PasswordCheck({ hasher: new PasswordHasher(), nowMs: () => performance.now() }), forwardAuth });
  const isOwnToken = (authorization: string): boolean => credentials.isOwnToken(authorization);
  forwarder = new Forwarder({ ...OPEN_OPTIONS, isOwnToken });
  const dispatcher = new Dispatcher({
    tally: new RequestTally(),
    hosts: new HostCache(routeTable(), new AccessRules(bench.configs)),
    door: new Door({ visitors, isTrusted: () => false, isOwnToken }),
    waker: bench.table,
    forwarder,
    local: { request: (_request, response) => response.end('local'), upgrade: (_request, socket) => socket.end() },
    log: silentLog,
    isTrusted: () => false,
    holdTimeoutMs: 10_000,
    refusedGraceMs: 500,
    pageAfterMs: 40,
    quiet: new QuietRules('default'),
  });
  server = new ProxyServer({ bind: '127.0.0.1', port: 0, dispatcher, log: silentLog, headerTimeoutMs: 5_000, shutdownTimeoutMs: 1_000 });
  await bench.table.open();
  port = await server.start();
  asked = [];
  auth = createServer((question, response) => {
    asked.push(question);
    decide(question, response);
  });
  await new Promise<void>((resolve) => auth.listen(0, '127.0.0.1', resolve));
  authUrl = `http://127.0.0.1:${(auth.address() as AddressInfo).port}/verify`;
});
afterEach(async () => {
  await server.stop();
  forwarder.close();
  forwardAuth.close();
  await bench.close();
  auth.closeAllConnections();
  await new Promise((resolve) => auth.close(resolve));
});

const visit = (headers: Record<string, string> = {}, more: { method?: string; host?: string; path?: string; body?: string } = {}): Promise<Answer> => request(port, { host: HOST, headers, ...more });
const guard = (access: TargetConfig['access'], key = KEY): unknown => bench.configs.containers.set(key, { access });
const state = (): string => bench.table.report(parseReference(KEY)).state;
const untouched = (): void => expect([state(), bench.backend.ids(), admitted]).toEqual(['absent', [], 0]);
const token = (...scopes: string[]): Promise<string> => credentials.makeToken(scopes.join(), scopes.map((scope) => parseScope(scope)!), undefined);
const basic = (name: string, password: string): string => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const users = async (): Promise<{ basic: Record<string, string> }> => ({ basic: { alice: await new PasswordHasher().hash('wonderland') } });

/** Everything that the answer to an upgrade says. */
async function upgrade(headers: readonly string[], path = '/'): Promise<string> {
  const client = await RawClient.connect(port);
  client.send([`GET ${path} HTTP/1.1`, `Host: ${HOST}`, 'Connection: Upgrade', 'Upgrade: websocket', ...headers, '', ''].join('\r\n'));
  const { text } = await client.untilEnd();
  client.socket.destroy();
  return text;
}

describe('a stranger', () => {
  it.each<[string, () => TargetConfig['access'] | Promise<TargetConfig['access']>, string]>([
    ['token', () => 'token', 'Bearer realm="alice/web:main"'],
    ['basic', users, 'Basic realm="alice/web:main", charset="UTF-8"'],
  ])('starts nothing where access is %s, sees no page that waits and no events, and is told how to come in', async (_name, access, challenge) => {
    guard(await access());
    for (const more of [{}, { host: FLAT }, { method: 'POST', body: 'x' }, { method: 'HEAD' }, { path: '/__proxyapi/wake' }, { path: '/favicon.ico' }]) {
      const answer = await visit(BROWSER, more);
      expect([answer.status, answer.headers['www-authenticate'], answer.headers['cache-control']]).toEqual([401, challenge, 'no-store']);
      if (more.method !== 'HEAD') expect(answer.text).toContain('unauthorized');
    }
    const refused = await upgrade([]);
    expect([refused.slice(0, 12), header(refused, 'www-authenticate')]).toEqual(['HTTP/1.1 401', challenge]);
    // What else is below that path asks for a token itself.
    expect((await visit({}, { path: '/__proxyapi/container' })).text).toBe('local');
    untouched();
  });

  it('is told the same whether the target may run, exists, sleeps or not', async () => {
    const before = await visit({}, { host: 'main.web.forbidden.localhost' });
    expect(before.status).toBe(403);
    bench.configs.repositories.set('forbidden/web', { access: 'token' });
    bench.images.missing.add('docker.io/alice/web:main');
    guard('token');
    for (const host of ['main.web.forbidden.localhost', HOST]) expect((await visit({}, { host })).status).toBe(401);
  });

  it('is shut out from what is warm as soon as the configuration says so, and let in again', async () => {
    expect((await visit()).status).toBe(200);
    const [id] = bench.backend.ids();
    guard('token');
    expect((await visit()).status).toBe(401);
    bench.configs.containers.delete(KEY);
    bench.configs.repositories.set('alice/web', { access: 'token' });
    expect((await visit({}, { host: FLAT })).status).toBe(401);
    guard('public');
    expect((await visit()).status).toBe(200);
    expect(bench.backend.ids()).toEqual([id]);
  });
});

describe('a token', () => {
  it('lets in whoever may read the repository', async () => {
    guard('token');
    const [reader, deployer, admin, other] = [await token('read:alice/*'), await token('deploy:alice/web'), await token('admin'), await token('read:bob/*')];
    expect((await visit({ authorization: `Bearer ${other}` })).status).toBe(403);
    expect((await visit({ 'x-pipes-token': `${reader}x` })).status).toBe(401);
    untouched();
    for (const each of [reader, deployer, admin]) expect((await visit({ authorization: `Bearer ${each}` })).status).toBe(200);
    expect((await visit({ 'x-pipes-token': reader, authorization: 'Bearer of-the-app' })).status).toBe(200);
    expect((await visit({ 'x-pipes-token': reader }, { path: '/__proxyapi/wake' })).headers['content-type']).toBe('text/event-stream');
  });
});

describe('a password', () => {
  it('lets in who knows it, who then sees the waiting page', async () => {
    guard(await users());
    expect((await visit({ authorization: basic('alice', 'wonderlanf') })).status).toBe(401);
    expect((await visit({ authorization: basic('bob', 'wonderland') })).status).toBe(401);
    untouched();
    bench.backend.latencyMs = 60;
    const page = await visit({ ...BROWSER, authorization: basic('alice', 'wonderland') });
    expect([page.status, page.headers['content-type']]).toEqual([503, 'text/html; charset=utf-8']);
    expect((await visit({ authorization: basic('alice', 'wonderland') })).status).toBe(200);
    expect((await visit({ authorization: basic('alice', 'wonderland') }, { path: '/__proxyapi/wake' })).status).toBe(200);
  });
});

describe('a service that decides', () => {
  it('is asked before anything starts, with what was asked for and who asks, but not with the body', async () => {
    guard({ forward: { url: `${authUrl}?app=web` } });
    decide = (_question, response) => response.writeHead(401, { 'www-authenticate': 'Custom', 'x-internal': 'kept' }).end('log in first');
    const answer = await visit(
      { cookie: 'session=1', authorization: 'Bearer of-the-app', 'x-forwarded-for': '192.0.2.1', 'x-forwarded-uri': '/faked', 'x_forwarded_method': 'FAKED', 'x-pipes-token': 'pipes_x', range: 'bytes=0-1', 'if-none-match': '"x"', te: 'trailers' },
      { method: 'POST', path: '/a/b?c=d', body: 'x'.repeat(100) },
    );
    expect([answer.status, answer.headers['www-authenticate'], answer.text]).toEqual([401, 'Custom', 'log in first']);
    untouched();
    const [question] = asked;
    expect([question!.method, question!.url]).toEqual(['GET', '/verify?app=web']);
    expect(question!.headers).toMatchObject({
      'host': new URL(authUrl).host, 'cookie': 'session=1', 'authorization': 'Bearer of-the-app',
      'x-forwarded-method': 'POST', 'x-forwarded-uri': '/a/b?c=d', 'x-forwarded-host': HOST, 'x-forwarded-proto': 'http', 'x-forwarded-for': '127.0.0.1',
    });
    for (const name of ['content-length', 'content-type', 'transfer-encoding', 'x-pipes-token', 'range', 'if-none-match', 'te', 'x_forwarded_method', 'expect']) expect(question!.headers).not.toHaveProperty(name);
    const names = question!.rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    for (const name of ['host', 'x-forwarded-uri', 'x-forwarded-for']) expect(names.filter((each) => each === name)).toHaveLength(1);
  });

  it('is not told the tokens of pipes', async () => {
    guard({ forward: { url: authUrl } });
    decide = (_question, response) => response.writeHead(403).end();
    await visit({ authorization: `Bearer ${await token('admin')}` });
    expect(asked[0]!.headers).not.toHaveProperty('authorization');
  });

  it('answers in the place of the app as it likes, to requests and upgrades, and is waited for by nobody who left', async () => {
    guard({ forward: { url: authUrl } });
    decide = (_question, response) => response.writeHead(302, ['Location', 'https://login.example.com/', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'X-Hop', 'X-Hop', '1']).end('moved');
    const answer = await visit(BROWSER);
    expect([answer.status, answer.headers['location'], answer.headers['set-cookie'], answer.headers['x-hop'], answer.text]).toEqual([302, 'https://login.example.com/', ['a=1', 'b=2'], undefined, 'moved']);
    const head = await visit({}, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.text]).toEqual([302, '5', '']);
    const events = await visit({}, { path: '/__proxyapi/wake' });
    expect([events.status, events.text]).toEqual([302, 'moved']);
    const refused = await upgrade(['Sec-WebSocket-Key: x'], '/socket');
    expect([refused.slice(0, 12), header(refused, 'location'), refused.slice(refused.indexOf('\r\n\r\n') + 4)]).toEqual(['HTTP/1.1 302', 'https://login.example.com/', 'moved']);
    expect(asked.at(-1)!.headers).toMatchObject({ 'x-forwarded-uri': '/socket', 'sec-websocket-key': 'x' });
    expect(asked.at(-1)!.headers).not.toHaveProperty('upgrade');
    untouched();
  });

  it('lets in, and tells the app what it says of the visitor, which no visitor can say of itself', async () => {
    guard({ forward: { url: authUrl, headers: ['X-User', 'X-Groups', 'Authorization'] } });
    decide = (_question, response) => response.writeHead(200, ['X-User', 'alice', 'X-Other', 'no', 'x-groups', 'a', 'X-Groups', 'b']).end('ok');
    const seen = (await visit({ 'x-user': 'root', 'x_user': 'root', 'x-groups': 'root', 'x-other': 'mine', authorization: 'Bearer faked' }, { path: '/headers' })).json<Record<string, string>>();
    expect(seen).toMatchObject({ 'x-user': 'alice', 'x-groups': 'a, b', 'x-other': 'mine' });
    expect(seen).not.toHaveProperty('x_user');
    expect(seen).not.toHaveProperty('authorization');
  });

  it('lets a body through whole that was held meanwhile', async () => {
    guard({ forward: { url: authUrl } });
    decide = (_question, response) => response.end();
    const body = 'x'.repeat(200_000);
    expect((await visit({}, { method: 'POST', path: '/echo', body })).text).toBe(body);
  });

  it('shuts everybody out while it cannot be asked', async () => {
    guard({ forward: { url: authUrl } });
    decide = (question) => question.socket.destroy();
    const answer = await visit(BROWSER);
    expect([answer.status, Number(answer.headers['retry-after']) > 0]).toEqual([503, true]);
    expect(answer.text).toContain('access_unavailable');
    // Not the page that would follow a wake.
    expect(answer.text).not.toContain('__proxyapi/wake');
    expect(answer.text).not.toContain(new URL(authUrl).host);
    untouched();
  });
});
