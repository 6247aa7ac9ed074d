import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { header, headLines, listen, Rig } from './rig.ts';

let rig: Rig;
afterEach(() => rig.stop());

const ASK = 'GET /chat?x=1?y HTTP/1.1\r\nHost: a.localhost:8080\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Foo/2\r\nX-B: 1\r\nx-b: 2\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Foo/2\r\n\r\n';

type Heard = ReturnType<typeof listen>;

/** An upstream that answers the ask with this; gives its connection and what it heard. */
async function upgradeRig(answer: string, options: Parameters<typeof Rig.raw>[1] = {}): Promise<{ back: Promise<{ socket: Socket; heard: Heard }> }> {
  let resolveBack!: (back: { socket: Socket; heard: Heard }) => void;
  const back = new Promise<{ socket: Socket; heard: Heard }>((resolve) => (resolveBack = resolve));
  rig = await Rig.raw((socket) => {
    const heard = listen(socket);
    resolveBack({ socket, heard });
    void heard.until('\r\n\r\n').then(() => socket.write(answer, 'latin1'));
  }, options);
  return { back };
}

async function echoRig(): Promise<{ server: WebSocketServer; url: string }> {
  const server = createServer();
  const sockets = new WebSocketServer({ server, maxPayload: 8_000_000 });
  sockets.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
  rig = await Rig.start(server);
  return { server: sockets, url: `ws://127.0.0.1:${rig.frontPort}/echo` };
}

describe('WebSocket, with the ws package at both ends', () => {
  it('echoes text, and binary messages of 1 MB', async () => {
    const { url } = await echoRig();
    const socket = new WebSocket(url, ['one', 'two']);
    await new Promise((resolve) => socket.once('open', resolve));
    expect(socket.protocol).toBe('one');
    for (const message of ['hello', Buffer.alloc(1_000_000, 7)]) {
      const echoed = new Promise<Buffer>((resolve) => socket.once('message', (data) => resolve(data as Buffer)));
      socket.send(message);
      expect(Buffer.from(message as string).equals(await echoed)).toBe(true);
    }
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.close(4001);
    expect(await closed).toBe(4001);
    const { end, stats } = await rig.end();
    expect(end).toEqual({ kind: 'answered', status: 101 });
    expect(stats.bytesIn).toBeGreaterThan(1_000_000);
    expect(stats.bytesOut).toBeGreaterThan(1_000_000);
    expect(stats.ttfbMs).toBeGreaterThan(0);
  });

  it('a close from the upstream arrives with its code', async () => {
    const { server, url } = await echoRig();
    server.on('connection', (socket) => socket.close(4002, 'enough'));
    const socket = new WebSocket(url);
    expect(await new Promise((resolve) => socket.once('close', resolve))).toBe(4002);
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 101 });
  });

  it('an upstream that dies cuts the client', async () => {
    const { url } = await echoRig();
    const socket = new WebSocket(url);
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    rig.backSockets[0]!.resetAndDestroy();
    expect(await closed).toBe(1006);
    expect((await rig.end()).end).toMatchObject({ kind: 'broken', status: 101, error: { code: 'upstream_failed' } });
  });

  it('a client that dies cuts the upstream', async () => {
    const { server, url } = await echoRig();
    const gone = new Promise<void>((resolve) => server.on('connection', (socket) => socket.once('close', () => resolve())));
    const socket = new WebSocket(url);
    await new Promise((resolve) => socket.once('open', resolve));
    socket.terminate();
    await gone;
    expect(['answered', 'aborted']).toContain((await rig.end()).end.kind);
  });

  it('a refusal reaches the client with its status and body', async () => {
    rig = await Rig.http((_request, response) => response.writeHead(403, { 'X-Why': 'no' }).end('not you'));
    const socket = new WebSocket(`ws://127.0.0.1:${rig.frontPort}/`);
    const [status, text] = await new Promise<[number, string]>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString())).on('end', () => resolve([response.statusCode!, body]));
      });
    });
    expect([status, text]).toEqual([403, 'not you']);
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 403 });
  });
});

describe('any other protocol', () => {
  it('sends the ask as it was, with Connection and Upgrade and what pipes adds', async () => {
    const { back } = await upgradeRig(SWITCH);
    const client = await rig.client();
    await client.send(ASK).until('\r\n\r\n');
    const text = (await back).heard.text();
    expect(headLines(text)[0]).toBe('GET /chat?x=1?y HTTP/1.1');
    expect(headLines(text)[1]).toBe('Host: a.localhost:8080');
    expect(header(text, 'Connection')).toBe('Upgrade');
    expect(header(text, 'Upgrade')).toBe('Foo/2');
    expect(header(text, 'X-Forwarded-For')).toBe('127.0.0.1');
    expect(header(text, 'Via')).toBe('1.1 pipes');
    expect(text).toContain('X-B: 1\r\nX-B: 2\r\n');
    expect(text.match(/^host:/gim)).toHaveLength(1);
  });

  it('keeps the head of the 101: case, duplicates, Connection, Upgrade', async () => {
    await upgradeRig('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nUpgrade: Foo/2\r\nSet-Cookie: a\r\nX-a: 1\r\nset-cookie: b\r\nKeep-Alive: 5\r\n\r\n');
    const client = await rig.client();
    const text = await client.send(ASK).until('\r\n\r\n');
    expect(headLines(text)).toEqual(['HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'Upgrade: Foo/2', 'Set-Cookie: a', 'Set-Cookie: b', 'X-a: 1']);
  });

  it('carries bytes that come with the heads on both sides, and raw bytes after them', async () => {
    const { back } = await upgradeRig(`${SWITCH}server first`);
    const client = await rig.client();
    await client.send(`${ASK}client first`).until('server first');
    const { socket, heard } = await back;
    await heard.until('client first');
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    client.send(bytes);
    await heard.until(bytes.toString('latin1'));
    socket.write(bytes);
    await client.until(bytes.toString('latin1'));
  });

  it('takes methods other than GET', async () => {
    const { back } = await upgradeRig(SWITCH);
    const client = await rig.client();
    await client.send(ASK.replace('GET', 'OPTIONS')).until('101');
    expect((await back).heard.text()).toMatch(/^OPTIONS \/chat\?x=1\?y HTTP\/1\.1\r\n/);
  });

  it('half-closes: the client ends, the upstream still speaks', async () => {
    const { back } = await upgradeRig(SWITCH);
    const client = await rig.client();
    await client.send(ASK).until('\r\n\r\n');
    const { socket, heard } = await back;
    client.send('last words').socket.end();
    await heard.until('last words');
    await heard.ended;
    socket.write('answer');
    await client.until('answer');
    socket.end();
    expect((await client.untilEnd()).ending).toBe('end');
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 101 });
  });

  it('half-closes: the upstream ends, the client still speaks, and all of it arrives', async () => {
    const { back } = await upgradeRig(SWITCH);
    const client = await rig.client();
    await client.send(ASK).until('\r\n\r\n');
    const { socket, heard } = await back;
    socket.end();
    await client.untilEnd();
    client.send(Buffer.alloc(3_000_000, 'z')).send('the end').socket.end();
    await heard.until('the end');
    expect((await rig.end()).stats.bytesIn).toBe(3_000_007);
  });

  it('a connection of which one half has ended does not idle for ever', async () => {
    const { back } = await upgradeRig(SWITCH, { bodyIdleTimeoutMs: 80 });
    const client = await rig.client();
    await client.send(ASK).until('\r\n\r\n');
    (await back).socket.end();
    await rig.end();
  });

  it('holds back an upstream that the client does not read', async () => {
    const { back } = await upgradeRig(SWITCH);
    const client = await rig.client();
    await client.send(ASK).until('\r\n\r\n');
    client.socket.pause();
    const { socket } = await back;
    const chunk = Buffer.alloc(1_000_000);
    for (let count = 0; count < 60; count += 1) socket.write(chunk);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(socket.writableLength).toBeGreaterThan(20_000_000);
    client.socket.destroy();
    await rig.end();
  });

  it('declines h2c, which would hide requests, and serves the request without it', async () => {
    rig = await Rig.http((request, response) => response.end(`${request.method!} ${String(request.headers.upgrade)} ${String(request.headers['http2-settings'])}`));
    const client = await rig.client();
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n');
    await client.until('GET undefined undefined');
    client.send('GET /again HTTP/1.1\r\nHost: a\r\nX-Count: 2\r\n\r\n');
    await rig.end(1);
  });

  it('declines an upgrade of a request with a body, and the body arrives', async () => {
    rig = await Rig.http((request, response) => request.on('data', (chunk: Buffer) => response.write(chunk)).on('end', () => response.end('!')));
    const client = await rig.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 10\r\n\r\nhello');
    client.send('world');
    await client.until('!');
    expect((await rig.end()).stats.bytesIn).toBe(10);
  });
});

describe('upgrades that do not come about', () => {
  it.each([
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-a: 1\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n', /3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n$/],
    ['with a length', 'HTTP/1.1 404 Nope\r\nContent-Length: 3\r\n\r\nabc', /^HTTP\/1\.1 404 Nope[^]*\r\n\r\nabc$/],
    ['without a body', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n', /Content-Length: 77[^]*\r\n\r\n$/],
    ['426', 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n', /Upgrade: websocket\r\nConnection: Upgrade, close\r\n/],
  ])('a refusal %s is relayed exactly, and the connection ends', async (_name, answer, expected) => {
    await upgradeRig(answer);
    const client = await rig.client();
    const { ending, text } = await client.send(ASK).untilEnd();
    expect(text).toMatch(expected);
    expect(text).toMatch(/Connection: (?:Upgrade, )?close/);
    expect(ending).toBe('end');
    client.socket.end();
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: Number(answer.slice(9, 12)) });
  });

  it('a large refusal is read by a slow client without being held in memory', async () => {
    const size = 30_000_000;
    const { back } = await upgradeRig(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const client = await rig.client();
    await client.send(ASK).until('\r\n\r\n');
    client.socket.pause();
    const { socket } = await back;
    for (let sent = 0; sent < size; sent += 1_000_000) socket.write(Buffer.alloc(1_000_000));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(socket.writableLength).toBeGreaterThan(5_000_000);
    client.socket.resume();
    const { text } = await client.untilEnd();
    expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(size);
    expect((await rig.end()).stats.bytesOut).toBe(size);
  });

  it.each([
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'],
  ])('a refusal %s that breaks off cuts the client', async (_name, answer) => {
    const { back } = await upgradeRig(answer);
    const client = await rig.client();
    await client.send(ASK).until('abc');
    (await back).socket.destroy();
    const { text } = await client.untilEnd();
    expect(text).not.toContain('\r\n0\r\n');
    expect((await rig.end()).end).toMatchObject({ kind: 'broken', status: 200 });
  });

  it('a refused connection gives the socket back, for another try or an error page', async () => {
    rig = await Rig.raw(() => undefined);
    await new Promise((resolve) => rig.back.close(resolve));
    const client = await rig.client();
    const { text } = await client.send(`${ASK}early bytes`).untilEnd();
    expect(headLines(text)[0]).toBe('HTTP/1.1 502 Bad Gateway');
    expect(text).toContain('"code":"upstream_unreachable"');
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: true });
  });

  it('a second try after a refused connection carries the early bytes once', async () => {
    const { back } = await upgradeRig(SWITCH);
    const alive = rig.upstream;
    rig.front.removeAllListeners('upgrade');
    rig.front.on('upgrade', (request, socket: Socket, head) => {
      const context = { requestId: 'r', mayRetry: true, stats: { bytesIn: 0, bytesOut: 0, status: 0, ttfbMs: 0 } };
      void (async () => {
        const first = await rig.forwarder.upgrade(request, socket, head, { host: '127.0.0.1', port: 1 }, context);
        expect(first).toMatchObject({ kind: 'failed', replayable: true });
        await rig.forwarder.upgrade(request, socket, head, alive, context);
      })();
    });
    const client = await rig.client();
    await client.send(`${ASK}early`).until('101');
    client.send(' late');
    const { heard } = await back;
    await heard.until('early late');
    expect(heard.text().match(/early/g)).toHaveLength(1);
  });

  it('an upstream that closes without an answer is 502', async () => {
    rig = await Rig.raw((socket) => socket.once('data', () => socket.destroy()));
    const client = await rig.client();
    const { text } = await client.send(ASK).untilEnd();
    expect(text).toContain('"code":"upstream_failed"');
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: false });
  });

  it('an upstream that says nothing is 504 after UPSTREAM_TIMEOUT', async () => {
    await upgradeRig('', { upstreamTimeoutMs: 60 });
    const client = await rig.client();
    const { text } = await client.send(ASK).untilEnd();
    expect(text).toContain('"code":"upstream_timeout"');
  });

  it.each([
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['closes', (socket: Socket) => socket.destroy()],
    ['only ends', (socket: Socket) => socket.end()],
  ])('a client that %s while it waits takes the upstream\'s request with it', async (_name, leave) => {
    const { back } = await upgradeRig('');
    const client = await rig.client();
    client.send(ASK);
    const { heard } = await back;
    await heard.until('\r\n\r\n');
    leave(client.socket);
    await heard.ended;
    expect((await rig.end()).end).toEqual({ kind: 'aborted', status: undefined });
  });

  it('a client that has left already is not asked for', async () => {
    await upgradeRig(SWITCH);
    rig.front.removeAllListeners('upgrade');
    const ended = new Promise((resolve) => {
      rig.front.on('upgrade', (request, socket: Socket, head) => {
        socket.destroy();
        resolve(rig.forwarder.upgrade(request, socket, head, rig.upstream, { requestId: 'r', mayRetry: true, stats: { bytesIn: 0, bytesOut: 0, status: 0, ttfbMs: 0 } }));
      });
    });
    (await rig.client()).send(ASK);
    expect(await ended).toEqual({ kind: 'aborted', status: undefined });
    expect(rig.backSockets).toHaveLength(0);
  });
});
