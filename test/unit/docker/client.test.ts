import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineClient } from '../../../src/docker/client.ts';

/** An engine of few words on a real socket. */
let directory: string;
let socket: string;
let server: Server | undefined;
let asked: string[];

async function engine(apiVersion: string, answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end('{"ok":true}')): Promise<void> {
  server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (request.url === '/version') response.end(JSON.stringify({ ApiVersion: apiVersion, MinAPIVersion: '1.12' }));
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server!.listen(socket, resolve));
}
async function stopEngine(): Promise<void> {
  const stopping = server;
  server = undefined;
  if (!stopping) return;
  stopping.closeAllConnections();
  await new Promise((resolve) => stopping.close(resolve));
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pipes-client-'));
  socket = join(directory, 'docker.sock');
  asked = [];
});
afterEach(async () => {
  await stopEngine();
  await rm(directory, { recursive: true });
});

const PING = { method: 'GET', path: '/info' } as const;

describe('EngineClient', () => {
  it('takes little time of its own for a call: a visitor waits for several of them', async () => {
    await engine('1.41', (request, response) => {
      if (request.url === '/v1.41/events') response.writeHead(200).flushHeaders();
      else response.end('{"ok":true}');
    });
    const client = new EngineClient({ host: `unix://${socket}` });
    // docker-modem looks at the options of each call for its debug log, and open connections hang on them.
    const ending = new AbortController();
    const streams = await Promise.all(Array.from({ length: 10 }, () => client.stream({ method: 'GET', path: '/events', signal: ending.signal })));
    for (let count = 0; count < 50; count += 1) await client.call(PING);
    const before = process.cpuUsage();
    for (let count = 0; count < 100; count += 1) await client.call(PING);
    const { user, system } = process.cpuUsage(before);
    for (const stream of streams) stream.on('error', () => undefined);
    ending.abort();
    expect((user + system) / 1000 / 100).toBeLessThan(3);
  });

  it.each([
    ['1.41', '1.41'],
    ['1.40', '1.40'],
    ['1.99', '1.47'],
  ])('agrees with an engine of API %s on %s, once for all calls', async (theirs, agreed) => {
    await engine(theirs);
    const client = new EngineClient({ host: `unix://${socket}` });
    expect(client.callCount).toBe(0);
    await Promise.all([client.call(PING), client.call(PING)]);
    expect(asked).toEqual(['GET /version', `GET /v${agreed}/info`, `GET /v${agreed}/info`]);
    expect(client.callCount).toBe(3);
  });

  it('refuses an engine that is too old, and tries again later', async () => {
    await engine('1.39');
    const client = new EngineClient({ host: socket });
    await expect(client.call(PING)).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('1.39') as string });
    await stopEngine();
    await engine('1.41');
    expect(await client.call(PING)).toEqual({ ok: true });
  });

  it('says when the engine is not there, and agrees anew when another is', async () => {
    const client = new EngineClient({ host: socket });
    await expect(client.call(PING)).rejects.toMatchObject({ code: 'engine_unavailable', status: 503 });
    await engine('1.41');
    await client.call(PING);
    await stopEngine();
    await expect(client.call(PING)).rejects.toMatchObject({ code: 'engine_unavailable' });
    await engine('1.45');
    await client.call(PING);
    expect(asked.slice(-2)).toEqual(['GET /version', 'GET /v1.45/info']);
  });

  it('sends a query, a body and a login apart from each other', async () => {
    let body = '';
    let login: unknown;
    await engine('1.41', (request, response) => {
      login = request.headers['x-registry-auth'];
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => response.end());
    });
    const client = new EngineClient({ host: socket });
    await client.call({ method: 'POST', path: '/x', query: { name: 'a b', filters: { label: ['c=d'] } }, body: { E: 1 }, login: { username: 'u' } });
    expect(asked.at(-1)).toBe(`POST /v1.41/x?name=a%20b&filters=${encodeURIComponent('{"label":["c=d"]}')}`);
    expect(JSON.parse(body)).toEqual({ E: 1 });
    expect(JSON.parse(Buffer.from(String(login), 'base64').toString())).toEqual({ username: 'u' });
    body = '';
    await client.call({ method: 'POST', path: '/y', query: { t: 1 } });
    expect([asked.at(-1), body]).toEqual(['POST /v1.41/y?t=1', '']);
  });

  it('waits no longer than it may for an engine that hangs', async () => {
    await engine('1.41', () => undefined);
    const client = new EngineClient({ host: socket, timeoutMs: 50 });
    await expect(client.call(PING)).rejects.toMatchObject({ code: 'engine_unavailable' });
    await expect(client.stream(PING)).rejects.toMatchObject({ code: 'engine_unavailable' });
  });

  it('lets a caller leave, before and while the engine answers', async () => {
    await engine('1.41', (_request, response) => response.write('{}\n'));
    const client = new EngineClient({ host: socket });
    const leaving = new AbortController();
    const stream = await client.stream({ ...PING, signal: leaving.signal });
    const reading = stream.toArray();
    leaving.abort(new Error('gone'));
    await expect(reading).rejects.toThrow();
    await expect(client.call({ ...PING, signal: leaving.signal })).rejects.toThrow('gone');
  });

  it('passes the engine\'s own errors on for the caller to read', async () => {
    await engine('1.41', (_request, response) => response.writeHead(404, { 'Content-Type': 'application/json' }).end('{"message":"No such container: x"}'));
    await expect(new EngineClient({ host: socket }).call(PING)).rejects.toMatchObject({ statusCode: 404, json: { message: 'No such container: x' } });
  });

  it('refuses a DOCKER_HOST that it cannot use', () => {
    expect(() => new EngineClient({ host: 'ssh://x' })).toThrow('DOCKER_HOST');
  });
});
