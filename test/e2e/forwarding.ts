import { createHash } from 'node:crypto';
import { Agent } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { openRequest, request, startRequest, type Answer, type RequestOptions } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { openRawSocket } from '../lab/raw-socket.ts';
import { until } from '../lab/until.ts';
import { openWebSocket } from '../lab/web-socket.ts';

/** What holds of waking and forwarding, however containers are reached. */
export function describeForwarding(upstream: 'network' | 'publish'): void {
  const apps = new Apps(`fwd-${upstream}`);
  const containers = new EngineContainers(useLab().dockerHost);
  let pipes: PipesProcess;
  let app: App;

  beforeAll(async () => {
    pipes = await startPipes({ env: { UPSTREAM: upstream, API_TOKEN: 'a-token-of-our-own-choice' } });
    app = await apps.build('app');
    expect((await request(pipes.port, { host: app.host })).text).toBe(greeting(app));
  });
  afterAll(async () => await pipes.stop());

  // Whatever way an exchange ends, nothing of it may stay.
  afterEach(async () => {
    await until('no exchange is left in the app', async () => (await ask('/__proxyapi/container', { token: pipes.token })).json()['inFlight'] === 0, 5_000);
  });

  const ask = (path: string, options: Partial<RequestOptions> = {}): Promise<Answer> => request(pipes.port, { host: app.host, path, ...options });

  describe('a wake', () => {
    it('reaches the container in that way', async () => {
      const { HostConfig } = await containers.only(app.reference);
      const { host } = (await ask('/__proxyapi/container', { token: pipes.token })).json<{ upstream: { host: string } }>().upstream;
      const published = Object.values(HostConfig.PortBindings ?? {}).flat();
      if (upstream === 'publish') {
        expect(host).toBe('127.0.0.1');
        expect(published.map(({ HostIp }) => HostIp)).toEqual(['127.0.0.1']);
      } else {
        expect(host).not.toBe('127.0.0.1');
        expect(published).toEqual([]);
      }
    });

    it('waits for an app that listens late, with nobody told a lie', async () => {
      const late = await apps.build('late', { env: { LISTEN_AFTER_MS: '1500' } });
      const answers = await Promise.all(Array.from({ length: 10 }, () => request(pipes.port, { host: late.host })));
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set([`200 ${greeting(late)}`]));
    });

    it('and again after each stop', async () => {
      const again = await apps.build('again', { env: { LISTEN_AFTER_MS: '300' } });
      for (let round = 0; round < 3; round += 1) {
        expect((await request(pipes.port, { host: again.host })).text).toBe(greeting(again));
        await containers.stop((await containers.only(again.reference)).Id);
      }
    });

    it('that comes to nothing says so', async () => {
      const silent = await apps.build('silent', { env: { PORT: 'none' } });
      await request(pipes.port, { host: silent.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { readiness: { timeout: '1s' } } });
      expect((await request(pipes.port, { host: silent.host })).json()).toMatchObject({ code: 'instance_not_ready' });
      const dying = await apps.build('dying', { env: { EXIT_AFTER_MS: '400', EXIT_CODE: '9', PORT: 'none' } });
      expect((await request(pipes.port, { host: dying.host })).json()).toMatchObject({ code: 'instance_failed', exitCode: 9 });
    });

    it('keeps the body of the request that caused it', async () => {
      const sleeping = await apps.build('body');
      const body = Buffer.alloc(5_000_000, 'pipes');
      const answer = await request(pipes.port, { host: sleeping.host, path: '/sink', body });
      expect(answer.json()).toEqual({ bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') });
    });

    it('carries a WebSocket to its end', async () => {
      const sleeping = await apps.build('ws');
      const socket = await openWebSocket(pipes.port, sleeping.host, '/?greet=hello');
      expect((await socket.next()).toString()).toBe('hello');
      const big = Buffer.alloc(1_000_000, 'w');
      for (const message of ['first', big, 'last']) {
        socket.send(message);
        expect((await socket.next()).equals(Buffer.from(message))).toBe(true);
      }
      const state = await request(pipes.port, { host: sleeping.host, path: '/__proxyapi/container', token: pipes.token });
      expect(state.json()).toMatchObject({ state: 'running', inFlight: 1 });
      expect(await socket.close()).toBe(1000);
      await until('it counts no more', async () => (await request(pipes.port, { host: sleeping.host, path: '/__proxyapi/container', token: pipes.token })).json()['inFlight'] === 0);
    });

    it('carries `Expect: 100-continue`: the app is asked, and nobody else answers', async () => {
      const sleeping = await apps.build('expect');
      const socket = await openRawSocket(pipes.port);
      socket.write(`POST /echo HTTP/1.1\r\nHost: ${sleeping.host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n`);
      await socket.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/, 20_000);
      socket.write('hello');
      const answer = await socket.until('"body":"hello"');
      expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(2);
      expect(answer).toContain('HTTP/1.1 200 OK');
      socket.destroy();
    });
  });

  describe('a request', () => {
    it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'PURGE'])('of the method %s passes as it is', async (method) => {
      const answer = await ask('/echo?a=%2F&b=%C3%A4//x/../y', { method, headers: { 'X-Mixed-Case': 'Kept', accept: 'a, b' }, ...(method === 'GET' ? {} : { body: 'bödy' }) });
      const echo = answer.json<{ rawHeaders: string[] }>();
      expect(echo).toMatchObject({ method, url: '/echo?a=%2F&b=%C3%A4//x/../y', body: method === 'GET' ? '' : 'bödy' });
      expect(echo.rawHeaders).toContain('X-Mixed-Case');
    });

    it('gains what says where it came from, keeps its host, and loses what was for this hop', async () => {
      const { headers } = (await ask('/echo', { headers: { host: `${app.host}:8080`, connection: 'close, x-hop', 'x-hop': '1', 'keep-alive': 'timeout=1', 'x-forwarded-for': '192.0.2.1', 'x-kept': '2' } })).json<{ headers: Record<string, string> }>();
      expect(headers).toMatchObject({ 'host': `${app.host}:8080`, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': `${app.host}:8080`, 'x-forwarded-proto': 'http', 'via': '1.1 pipes', 'x-kept': '2' });
      expect(headers['forwarded']).toContain('for=127.0.0.1');
      expect(headers['x-request-id']).toMatch(/\S{8,}/);
      expect(Object.keys(headers).filter((name) => ['x-hop', 'keep-alive'].includes(name))).toEqual([]);
    });

    it.each([
      ['Bearer pipes_0123456789abcdef', false],
      ['bearer a-token-of-our-own-choice', false],
      [`Basic ${Buffer.from('git:pipes_0123456789abcdef').toString('base64')}`, false],
      ['Bearer somebody-elses', true],
      [`Basic ${Buffer.from('alice:secret').toString('base64')}`, true],
    ])('with `Authorization: %s` shows it to the app: %s', async (authorization, travels) => {
      const { headers } = (await ask('/echo', { headers: { authorization } })).json<{ headers: Record<string, string> }>();
      expect(headers['authorization']).toBe(travels ? authorization : undefined);
    });

    it('carries its trailers', async () => {
      const outgoing = startRequest(pipes.port, { host: app.host, path: '/echo', method: 'POST', headers: { 'transfer-encoding': 'chunked', 'trailer': 'x-sum' } });
      const answered = new Promise<string>((resolve, reject) => {
        outgoing.on('error', reject);
        outgoing.on('response', (answer) => void answer.toArray().then((chunks) => resolve(Buffer.concat(chunks as Buffer[]).toString()), reject));
      });
      outgoing.write('body');
      outgoing.addTrailers({ 'x-sum': 'abc' });
      outgoing.end();
      expect(JSON.parse(await answered)).toMatchObject({ body: 'body', trailers: { 'x-sum': 'abc' } });
    });

    it('that its client leaves is left at the app, too', async () => {
      const before = (await ask('/aborts')).json<{ aborts: number }>().aborts;
      const { request: outgoing } = await openRequest(pipes.port, { host: app.host, path: '/hang-mid?bytes=10' });
      outgoing.destroy();
      await until('the app has noticed', async () => (await ask('/aborts')).json<{ aborts: number }>().aborts === before + 1);
    });

    it('follows many others on one connection', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let count = 0; count < 200; count += 1) expect((await ask('/', { agent })).text).toBe(greeting(app));
      agent.destroy();
    });
  });

  describe('an answer', () => {
    it.each([200, 201, 204, 206, 301, 304, 400, 401, 404, 418, 500, 503])('of the status %i passes as it is', async (code) => {
      const answer = await ask(`/status/${code}?body=text&header=X-One:1&header=Set-Cookie:a=1&header=Set-Cookie:b=2`);
      expect([answer.status, answer.text]).toEqual([code, code === 204 || code === 304 ? '' : 'text']);
      expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
      expect(answer.rawHeaders).toContain('X-One');
    });

    it('to HEAD has its length and no body', async () => {
      const answer = await ask('/', { method: 'HEAD' });
      expect([answer.status, answer.body.length, answer.headers['content-length']]).toEqual([200, 0, String(greeting(app).length)]);
    });

    it('of events comes event by event', async () => {
      const socket = await openRawSocket(pipes.port);
      socket.write(`GET /events?ms=400 HTTP/1.1\r\nHost: ${app.host}\r\nAccept: text/event-stream\r\n\r\n`);
      for (let event = 0; event < 3; event += 1) expect(await socket.until(`event ${event}\n`)).not.toContain(`event ${event + 1}\n`);
      socket.destroy();
    });

    it('carries its trailers', async () => {
      const answer = await ask('/trailers', { headers: { te: 'trailers' } });
      expect([answer.text, answer.trailers]).toEqual(['body\n', { 'x-checksum': 'abc', 'x-second': 'two' }]);
    });

    it('carries large headers, and hints before it', async () => {
      expect((await ask('/big-headers?bytes=15000')).headers['x-big']).toHaveLength(15_000);
      const socket = await openRawSocket(pipes.port);
      socket.write(`GET /informational HTTP/1.1\r\nHost: ${app.host}\r\nConnection: close\r\n\r\n`);
      const answer = await socket.until('after hints');
      expect(answer).toMatch(/^HTTP\/1\.1 103 [^]*rel=preload[^]*HTTP\/1\.1 200 /);
      socket.destroy();
    });

    it('may come before the body has gone out', async () => {
      const answer = await ask('/early?status=413', { method: 'POST', body: Buffer.alloc(10_000_000) });
      expect([answer.status, answer.text]).toEqual([413, 'early\n']);
    });

    it.each(['/die?after=1000', '/die?after=1000&chunked=1'])('that breaks off (%s) never looks like a whole one', async (path) => {
      await expect(ask(path)).rejects.toThrow();
      const socket = await openRawSocket(pipes.port);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${app.host}\r\n\r\n`);
      await socket.ended();
      expect(socket.received()).toMatch(/^HTTP\/1\.1 200 /);
      expect(socket.received()).not.toMatch(/\r\n0\r\n\r\n$/);
      expect((await ask('/')).text).toBe(greeting(app));
    });
  });

  describe('an upgrade', () => {
    it('to anything passes in both directions', async () => {
      const socket = await openRawSocket(pipes.port);
      socket.write(`GET / HTTP/1.1\r\nHost: ${app.host}\r\nConnection: Upgrade\r\nUpgrade: lab-echo\r\n\r\nhead`);
      await socket.until(/^HTTP\/1\.1 101 [^]*\r\n\r\nhead$/);
      socket.write('and more');
      await socket.until('headand more');
      socket.destroy();
    });

    it('that the app refuses is refused in its words', async () => {
      const socket = await openRawSocket(pipes.port);
      socket.write(`GET /?refuse=403 HTTP/1.1\r\nHost: ${app.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`);
      expect(await socket.until('refused')).toMatch(/^HTTP\/1\.1 403 /);
      socket.destroy();
    });

    it('ends when the app cuts it', async () => {
      const socket = await openWebSocket(pipes.port, app.host, '/?die=1');
      socket.send('last words');
      await expect(socket.next()).rejects.toThrow(/closed/);
    });
  });
}
