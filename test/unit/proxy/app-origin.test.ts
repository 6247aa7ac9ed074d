import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/core/log.ts';
import { RequestTally } from '../../../src/core/request-tally.ts';
import { Run } from '../../../src/instances/run.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { Forwarder } from '../../../src/proxy/forwarder.ts';
import { HostCache } from '../../../src/proxy/host-cache.ts';
import { ProxyServer } from '../../../src/proxy/proxy-server.ts';
import { QuietRules } from '../../../src/proxy/quiet.ts';
import type { Waker } from '../../../src/proxy/waker.ts';
import { routeTable } from '../../fakes/memory-domains.ts';
import { RunningApi } from '../api/running-api.ts';
import { ALL_PUBLIC, OPEN_DOOR } from '../../fakes/open-door.ts';
import { header, headLines, OPEN_OPTIONS, RawClient } from './rig.ts';

/** The real API behind the real proxy, before an app that is not trusted: what a client is answered, and what the app gets to see. */

const HOST = 'main.web.alice.localhost';
const API_TOKEN = 'a-chosen-admin-token';

/** An app that writes down every byte it is sent. */
class App {
  answer = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\napp\n';
  seen = '';
  readonly server: Server = createServer((socket) => {
    this.#sockets.add(socket);
    let head = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.seen += chunk.toString('latin1');
      head += chunk.toString('latin1');
      // A chunked request is over with its trailers.
      if (/transfer-encoding: chunked/i.test(head) ? /\r\n0\r\n[^]*\r\n\r\n$/.test(head) : head.includes('\r\n\r\n')) socket.end(this.answer, 'latin1');
    });
  });
  readonly #sockets = new Set<Socket>();

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

let app: App;
let api: RunningApi;
let proxy: ProxyServer;
let forwarder: Forwarder;
let port: number;
let token: string;

async function open(options: { isOpen?: boolean } = {}): Promise<void> {
  app = new App();
  await new Promise<void>((resolve) => app.server.listen(0, '127.0.0.1', resolve));
  api = new RunningApi({ ...options, apiToken: API_TOKEN });
  token = await api.token('admin');
  const upstream = { host: '127.0.0.1', port: (app.server.address() as AddressInfo).port };
  const run = new Run({ id: 'c', reference: 'alice/web:main', managed: true, state: 'running', upstream, imageId: 'i', startedAt: new Date(0), configHash: undefined, imageDigest: undefined } as unknown as ConstructorParameters<typeof Run>[0], () => 0);
  const waker: Waker = {
    tryLease: () => run.acquire(),
    lease: () => Promise.resolve(run.acquire()),
    distrust: () => undefined,
    isEngineUp: true,
    isUp: () => true,
    assertMayRun: () => undefined,
    waitMode: () => 'hold',
    watch: (_reference, listener) => {
      listener({ phase: 'ready' });
      return () => undefined;
    },
  };
  forwarder = new Forwarder({ ...OPEN_OPTIONS, isOwnToken: (authorization) => api.credentials.isOwnToken(authorization) });
  const dispatcher = new Dispatcher({
    tally: new RequestTally(), hosts: new HostCache(routeTable(), ALL_PUBLIC), door: OPEN_DOOR, waker, forwarder, local: api.api, log: silentLog, isTrusted: () => false,
    holdTimeoutMs: 10_000, refusedGraceMs: 500, pageAfterMs: 10_000, quiet: new QuietRules('default'),
  });
  proxy = new ProxyServer({ bind: '127.0.0.1', port: 0, dispatcher, log: silentLog, headerTimeoutMs: 5_000, shutdownTimeoutMs: 1_000 });
  port = await proxy.start();
}

async function close(): Promise<void> {
  await proxy.stop();
  forwarder.close();
  await app.close();
  await api.backend.close();
}

interface Heard {
  readonly status: number;
  readonly text: string;
  readonly body: string;
}

/** One request, byte for byte; the connection is read to its end. */
async function ask(requestLine: string, headers: readonly string[] = [], more: { host?: string; tail?: string } = {}): Promise<Heard> {
  const client = await RawClient.connect(port);
  const connection = headers.some((line) => /^connection:/i.test(line)) ? [] : ['Connection: close'];
  client.send([`${requestLine} HTTP/1.1`, `Host: ${more.host ?? HOST}`, ...connection, ...headers, '', more.tail ?? ''].join('\r\n'));
  const { text } = await client.untilEnd();
  client.socket.destroy();
  return { status: Number(text.slice(9, 12)), text, body: text.slice(text.indexOf('\r\n\r\n') + 4) };
}

/** Whatever is asked, no page of another origin is let in, and nothing is remembered in a browser. */
function expectNoPermission({ text }: Heard): void {
  expect(headLines(text).filter((line) => /^(?:access-control-|set-cookie|timing-allow-origin|cross-origin-resource-policy: cross)/i.test(line))).toEqual([]);
}

afterEach(close);

describe('a path', () => {
  beforeEach(() => open());

  it.each([
    '/%5f_proxyapi/container', '/_%5Fproxyapi/container', '/%5F%5Fproxyapi/container', '/__%70roxyapi/container', '/__proxyap%69/container', '//__proxyapi/container', '///__proxyapi/container', '/./__proxyapi/container',
    '/%2e/__proxyapi/container', '/x/../__proxyapi/container', '/x/%2e%2e/__proxyapi/container', '/x/..%2f__proxyapi/container', '/%2f__proxyapi/container', '/\\__proxyapi/container', '/__PROXYAPI/container', '/__ProxyApi/container',
    '/__proxyapi;/container', '/__proxyapi;x=1/container', '/;/__proxyapi/container', '/__proxyapi%2fcontainer', '/__proxyapi%3fx', '/__proxyapi%23/container', '/__proxyapi%00/container', '/__proxyapi\\container', '/__proxyapi./container', '/__proxyapi%20/container',
    '/__proxyapis/container', '/x/__proxyapi/container', '/?/__proxyapi/container', '/x?y=/__proxyapi/container',
  ])('%s belongs to the app, which gets it as it was sent, and without the token', async (path) => {
    const heard = await ask(`DELETE ${path}`, [`Authorization: Bearer ${token}`]);
    expect([heard.status, heard.body]).toEqual([200, 'app\n']);
    expect(headLines(app.seen)[0]).toBe(`DELETE ${path} HTTP/1.1`);
    expect(app.seen).not.toMatch(/pipes_|authorization/i);
    expect(api.control.calls).toEqual([]);
  });

  it.each<[string, number]>([
    ['/__proxyapi', 404], ['/__proxyapi/', 404], ['/__proxyapi?x=1', 404], ['/__proxyapi/../', 404], ['/__proxyapi/../container', 404], ['/__proxyapi/x/../container', 404], ['/__proxyapi/./container', 404], ['/__proxyapi//container', 404],
    ['/__proxyapi/%63ontainer', 404], ['/__proxyapi/container%2fstop', 404], ['/__proxyapi/CONTAINER', 404], ['/__proxyapi/tokens', 404], ['/__proxyapi/containers', 404],
  ])('%s is pipes\' own and never the app\'s, but nothing is done', async (path, status) => {
    const heard = await ask(`DELETE ${path}`, [`Authorization: Bearer ${token}`]);
    expect(heard.status).toBe(status);
    expectNoPermission(heard);
    expect(app.seen).toBe('');
    expect(api.control.calls).toEqual([]);
  });

  it('/__proxyapi/container is what all these are not', async () => {
    expect((await ask('DELETE /__proxyapi/container', [`Authorization: Bearer ${token}`])).status).toBe(200);
    expect(api.control.calls).toEqual(['remove alice/web:main']);
    expect(app.seen).toBe('');
  });
});

describe('a target in absolute-form', () => {
  beforeEach(() => open());

  it.each<[string, string]>([
    [`http://${HOST}/%5f_proxyapi/container`, '/%5f_proxyapi/container'],
    [`http://${HOST}//__proxyapi/container`, '//__proxyapi/container'],
    [`http://${HOST}/x?http://${HOST}/__proxyapi/container`, `/x?http://${HOST}/__proxyapi/container`],
    [`HTTP://${HOST.toUpperCase()}/app`, '/app'],
  ])('%s is the app\'s path of that name', async (target, path) => {
    expect((await ask(`DELETE ${target}`, [`Authorization: Bearer ${token}`])).body).toBe('app\n');
    expect(headLines(app.seen)[0]).toBe(`DELETE ${path} HTTP/1.1`);
    expect(api.control.calls).toEqual([]);
  });

  it.each<[string, string]>([
    ['http://localhost/__proxyapi/tokens', HOST],
    [`http://${HOST}/__proxyapi/container`, 'localhost'],
    ['http://main.web.bob.localhost/__proxyapi/container', HOST],
    [`http://main.web.bob.localhost/app`, HOST],
    [`http://x@${HOST}/__proxyapi/container`, HOST],
    [`http://${HOST}:80/__proxyapi/container`, HOST],
    [`http://${HOST}\\@localhost/__proxyapi/container`, HOST],
    [`https://${HOST}/__proxyapi/container`, HOST],
    ['http:///__proxyapi/container', HOST],
    ['__proxyapi/container', HOST],
  ])('%s with the Host %s is refused, and nobody gets it', async (target, host) => {
    const heard = await ask(`DELETE ${target}`, [`Authorization: Bearer ${token}`], { host });
    expect(heard.status).toBe(400);
    expect(app.seen).toBe('');
    expect(api.control.calls).toEqual([]);
  });

  it('that names the very Host is that request, and needs the same token', async () => {
    expect((await ask(`DELETE http://${HOST}/__proxyapi/container`)).status).toBe(401);
    expect((await ask(`DELETE http://${HOST}/__proxyapi/container`, ['Sec-Fetch-Site: cross-site'])).status).toBe(404);
    expect(api.control.calls).toEqual([]);
    expect(app.seen).toBe('');
  });
});

const STRANGER = 'Not Found\n';
const cookies = ['Cookie: token={token}; pipes={token}; Authorization=Bearer {token}'];
const kept = `Authorization: Basic ${Buffer.from('visitor:of the app').toString('base64')}`;

describe.each([['token', false], ['none', true]] as const)('a browser, with API_AUTH=%s:', (_name, isOpen) => {
  beforeEach(() => open({ isOpen }));

  it.each<[string, string, string[]]>([
    ['a page of another site', 'GET /__proxyapi/container/stop', ['Sec-Fetch-Site: cross-site']],
    ['an image on another site', 'GET /__proxyapi/container/stop', ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: image']],
    ['a link on another site', 'GET /__proxyapi/container/stop', ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-User: ?1']],
    ['another app of the same site', 'POST /__proxyapi/container/stop', ['Sec-Fetch-Site: same-site']],
    ['with cookies', 'POST /__proxyapi/container/stop', ['Sec-Fetch-Site: same-site', ...cookies]],
    ['with the password it keeps for the app', 'POST /__proxyapi/container/stop', ['Sec-Fetch-Site: cross-site', kept]],
    ['a preflight', 'OPTIONS /__proxyapi/container/config', ['Sec-Fetch-Site: cross-site', 'Origin: http://evil.example', 'Access-Control-Request-Method: PUT', 'Access-Control-Request-Headers: authorization']],
    ['a preflight over plain HTTP', 'OPTIONS /__proxyapi/container/config', ['Origin: http://evil.example', 'Access-Control-Request-Method: PUT']],
    ['a form over plain HTTP, where no Sec-Fetch-Site is sent', 'POST /__proxyapi/container/stop', ['Origin: http://evil.example']],
    ['another app\'s form over plain HTTP', 'POST /__proxyapi/container/stop', ['Origin: http://main.web.bob.localhost']],
    ['the same name at another port', 'POST /__proxyapi/container/stop', [`Origin: http://${HOST}:81`]],
    ['a sandboxed frame', 'POST /__proxyapi/container/stop', ['Origin: null']],
    ['what does not exist', 'GET /__proxyapi/nothing', ['Sec-Fetch-Site: cross-site']],
    ['a query that names a token', 'POST /__proxyapi/container/stop?token={token}&access_token={token}', ['Sec-Fetch-Site: cross-site']],
  ])('%s gets a plain 404', async (_what, line, headers) => {
    const heard = await ask(line.replaceAll('{token}', token), headers.map((one) => one.replaceAll('{token}', token)));
    expect([heard.status, heard.body, header(heard.text, 'content-type')]).toEqual([404, STRANGER, 'text/plain; charset=utf-8']);
    expect(header(heard.text, 'www-authenticate')).toBeUndefined();
    expect(header(heard.text, 'allow')).toBeUndefined();
    expectNoPermission(heard);
    expect(api.control.calls).toEqual([]);
    expect(app.seen).toBe('');
  });

  it.each<[string, string[]]>([
    ['a page of the app itself', ['Sec-Fetch-Site: same-origin']],
    ['the address bar', ['Sec-Fetch-Site: none']],
    ['a program', []],
    ['cookies', cookies],
    ['the password kept for the app', [kept]],
    ['a token as Basic password', ['Authorization: Basic {basic}']],
    ['a token in another scheme', ['Authorization: token {token}']],
    ['a token in X-Pipes-Token', ['X-Pipes-Token: {token}']],
    ['the app\'s own origin', [`Origin: http://${HOST}`]],
    ['the app\'s own origin behind TLS', [`Origin: https://${HOST}`]],
  ])('%s speaks for nobody', async (_what, headers) => {
    const basic = Buffer.from(`git:${token}`).toString('base64');
    const heard = await ask('POST /__proxyapi/container/stop', headers.map((line) => line.replaceAll('{token}', token).replaceAll('{basic}', basic)));
    expect(heard.status).toBe(isOpen ? 200 : 401);
    expectNoPermission(heard);
    expect(api.control.calls).toHaveLength(isOpen ? 1 : 0);
    expect(app.seen).toBe('');
  });

  it.each(['OPTIONS', 'PATCH', 'TRACE'])('%s without any of this is not answered with a permission either', async (method) => {
    const heard = await ask(`${method} /__proxyapi/container/config`);
    expect(heard.status).toBe(405);
    expectNoPermission(heard);
  });

  it('/wake is told to everybody, without a permission to read it elsewhere', async () => {
    const heard = await ask('GET /__proxyapi/wake', ['Sec-Fetch-Site: cross-site', 'Origin: http://evil.example']);
    expect([heard.status, header(heard.text, 'content-type')]).toEqual([200, 'text/event-stream']);
    expectNoPermission(heard);
  });

  it('an upgrade reaches neither API nor app', async () => {
    const heard = await ask('GET /__proxyapi/container/logs', ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-Fetch-Site: cross-site']);
    expect(heard.status).toBe(404);
    expect(app.seen).toBe('');
  });
});

describe('a Bearer token', () => {
  beforeEach(() => open());

  it('is all that counts, wherever the request comes from', async () => {
    expect((await ask('POST /__proxyapi/container/stop', [`Authorization: Bearer ${token}`, 'Sec-Fetch-Site: cross-site', 'Origin: http://evil.example'])).status).toBe(200);
    expect((await ask('POST /__proxyapi/container/stop', ['Authorization: Bearer pipes_wrong', 'Sec-Fetch-Site: cross-site'])).status).toBe(401);
    expect((await ask('POST /__proxyapi/container/stop', ['Authorization: Bearer pipes_wrong', `Authorization: Bearer ${token}`])).status).toBe(401);
    expect(api.control.calls).toEqual(['stop alice/web:main']);
  });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** `T` stands for a token that pipes made, `A` for `API_TOKEN`, `B(…)` for base64. */
function filled(line: string): string {
  return line.replace(/B\((.*?)\)/g, (_, text: string) => base64(filled(text))).replace(/\bT\b/g, token).replace(/\bA\b/g, API_TOKEN);
}

describe.each([
  ['a request', [] as string[]],
  ['an upgrade', ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']],
])('to the app %s', (_name, extra) => {
  beforeEach(() => open());

  it.each([
    ['Authorization: Bearer T'], ['authorization: bearer T'], ['AUTHORIZATION:Bearer   T  '], ['Authorization: Bearer\tT'], ['Authorization: T'], ['Authorization: token T'], ['Authorization: ApiKey T'],
    ['Authorization: Basic B(git:T)'], ['Authorization: Basic B(T:)'], ['Authorization: Basic B(T)'], ['Authorization: bAsIc   B(T:x)'], ['Authorization: Basic\tB(u:T)'],
    ['Authorization: Bearer other, Bearer T'], ['Authorization: Basic B(a:b), Basic B(git:T)'], ['Authorization: Digest username="u", response="T"'], ['Authorization: Signature token=T;v=1'], ['Authorization: Bearer "T"'],
    ['Authorization: Bearer A'], ['Authorization: token A'], ['Authorization: A'], ['Authorization: Basic B(git:A)'], ['Authorization: Basic B(A:)'], ['Authorization: Bearer x, Bearer A'], ['Authorization: Custom key="A"'],
    ['Authorization: Bearer T', 'Authorization: Bearer A'],
    ['Proxy-Authorization: Bearer T'],
    ['X-Pipes-Token: T'], ['x-pipes-token: anything'], ['X_Pipes_Token: T'], ['X-Pipes_Token: T'], ['X_PIPES-TOKEN: T'],
    ['Authorization: Basic B(git:T)', 'X-Pipes-Token: T', 'X-Pipes-Token: A'],
  ])('never carries %s on', async (...lines) => {
    const heard = await ask('GET /app', [...extra, ...lines.map(filled)]);
    expect(heard.body).toBe('app\n');
    expect(app.seen).not.toMatch(/authorization|pipes[-_]token/i);
    expect(app.seen).not.toContain(token);
    expect(app.seen).not.toContain(API_TOKEN);
  });

  it.each([
    ['Authorization: Bearer other'], ['Authorization: Basic B(user:pass:word)'], ['authorization: Digest username="pipes_fan", nonce="1"'], ['Authorization: token ghp_abc'], ['Authorization: Negotiate abc=='], ['Authorization: Bearer xT'],
    ['X-Pipes: T2'], ['Cookie: session=1'],
  ])('carries %s on as it is', async (...lines) => {
    await ask('GET /app', [...extra, ...lines.map(filled)]);
    for (const line of lines) expect(headLines(app.seen)).toContain(filled(line));
  });

  it('keeps what is the app\'s of several', async () => {
    await ask('GET /app', [...extra, 'Authorization: Bearer mine', `Authorization: Bearer ${token}`]);
    expect(headLines(app.seen).filter((line) => /^authorization/i.test(line))).toEqual(['Authorization: Bearer mine']);
  });
});

describe('the trailers of a request', () => {
  beforeEach(() => open());

  it('carry no token on', async () => {
    const tail = `2\r\nhi\r\n0\r\nX-Pipes-Token: ${token}\r\nx_pipes_token: ${token}\r\nAuthorization: Bearer ${token}\r\nX-Kept: 1\r\n\r\n`;
    await ask('POST /app', ['Transfer-Encoding: chunked', 'Trailer: X-Pipes-Token, X-Kept'], { tail });
    expect(app.seen).toContain('X-Kept: 1');
    expect(app.seen).not.toContain(token);
  });
});

describe('an app\'s answer', () => {
  beforeEach(() => open());
  const says = (...lines: string[]): void => void (app.answer = [`HTTP/1.1 ${lines[0]!}`, ...lines.slice(1), 'Content-Length: 4', 'Connection: close', '', 'app\n'].join('\r\n'));

  it.each([
    '/__proxyapi/container/stop', '__proxyapi/container/stop', '/x/../__proxyapi/container/stop', '//main.web.alice.localhost/__proxyapi/container/stop', 'http://main.web.alice.localhost/__proxyapi/container/stop',
    'http://localhost/__proxyapi/tokens', '/%5f%5fproxyapi/container/stop', '/.//__proxyapi/container/stop', '\\__proxyapi/container/stop',
  ])('that redirects to %s leads nobody there', async (location) => {
    for (const status of ['301 Moved', '302 Found', '303 See Other', '307 Temporary Redirect', '308 Permanent Redirect']) {
      says(status, `Location: ${location}`, 'X-Kept: 1');
      const heard = await ask('GET /app', [`Authorization: Bearer ${token}`]);
      expect([heard.status, header(heard.text, 'location'), header(heard.text, 'x-kept'), heard.body]).toEqual([Number(status.slice(0, 3)), undefined, '1', 'app\n']);
    }
    expect(api.control.calls).toEqual([]);
  });

  it.each(['/login?next=/__proxyapi/container', 'https://example.com/', '../up', '/__proxyapis', ''])('that redirects to "%s" is as the app says', async (location) => {
    says('302 Found', `Location: ${location}`);
    expect(header((await ask('GET /app')).text, 'location')).toBe(location);
  });

  it('cannot have pipes fetch anything', async () => {
    const lines = ['X-Accel-Redirect: /__proxyapi/container/stop', 'X-Sendfile: /etc/passwd', 'X-Reproxy-URL: http://localhost/__proxyapi/tokens'];
    says('200 OK', ...lines);
    const heard = await ask('GET /app', [`Authorization: Bearer ${token}`]);
    for (const line of lines) expect(headLines(heard.text)).toContain(line);
    expect(heard.body).toBe('app\n');
    expect(api.control.calls).toEqual([]);
  });
});
