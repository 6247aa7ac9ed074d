import { createServer, type Server, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineClient } from '../../../src/docker/client.ts';
import { Container, ContainerList, Version } from '../../../src/docker/engine-shapes.ts';

/** An engine that says any bytes, on a real socket. */
let directory: string;
let path: string;
let server: Server;
let asked: string[];
let answer: (request: string, socket: Socket) => void;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pipes-engine-'));
  path = join(directory, 'docker.sock');
  asked = [];
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk) => {
      const [request = ''] = chunk.toString().split('\r\n');
      asked.push(request);
      if (request.includes(' /version ')) socket.end(http('200 OK', '{"ApiVersion":"1.41"}'));
      else answer(request, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

function http(status: string, body: string, headers = ''): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;
}

const ASK = { method: 'GET', path: '/containers/x/json', timeoutMs: 20_000 } as const;
const away = { name: 'PipesError', code: 'engine_unavailable' };

describe('an engine that answers what no engine answers', () => {
  it.each(['ftp://x/', 'http://127.0.0.1:1/v1.41/other', '/v1.41/other', 'nonsense:', ''])('is not followed to %s', async (location) => {
    answer = (_request, socket) => socket.end(http('302 Found', '{}', `Location: ${location}\r\n`));
    const client = new EngineClient({ host: path });
    await expect(client.call(ASK)).rejects.toMatchObject({ statusCode: 302 });
    await expect(client.stream(ASK)).rejects.toMatchObject({ statusCode: 302 });
    expect(asked).toEqual(['GET /version HTTP/1.1', 'GET /v1.41/containers/x/json HTTP/1.1', 'GET /v1.41/containers/x/json HTTP/1.1']);
  });

  it.each([
    ['breaks off in the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['breaks off in the body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Id":'],
    ['breaks off in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"Id"'],
    ['says nothing', ''],
    ['speaks no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['writes headers that are none', 'HTTP/1.1 200 OK\r\nCont ent: 1\r\n\r\n{}'],
    ['wants another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'],
  ])('is away at once when it %s', async (_what, bytes) => {
    answer = (_request, socket) => socket.end(bytes);
    const client = new EngineClient({ host: path });
    const startedMs = performance.now();
    await expect(client.call({ ...ASK, shape: Container }).catch((thrown: unknown) => Promise.reject(client.translate(thrown)))).rejects.toMatchObject(away);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  it.each(['', 'null', '[]', '7', '{"Id":"x"}', '{"Id":"../y","State":{},"Config":{}}', 'no JSON', '{"Id":'])('is away when it says %j where a container is asked for', async (body) => {
    answer = (_request, socket) => socket.end(http('200 OK', body));
    await expect(new EngineClient({ host: path }).call({ ...ASK, shape: Container })).rejects.toMatchObject(away);
  });

  it('is not listened to without end', async () => {
    answer = (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const more = (): void => {
        if (!socket.destroyed) socket.write(`100000\r\n${'x'.repeat(2 ** 20)}\r\n`, more);
      };
      more();
    };
    const client = new EngineClient({ host: path });
    await expect(client.call(ASK).catch((thrown: unknown) => Promise.reject(client.translate(thrown)))).rejects.toMatchObject(away);
  });

  it('tells its words of a refusal even where they break off', async () => {
    answer = (_request, socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{"message":"No such');
    await expect(new EngineClient({ host: path }).stream(ASK)).rejects.toMatchObject({ statusCode: 404, message: '{"message":"No such' });
  });
});

describe('the shapes of answers', () => {
  it('settle what engines leave out or write as null', () => {
    const found = Container.parse({ Id: 'c1', State: { Status: 'running' }, Config: { Labels: null }, HostConfig: {}, NetworkSettings: { Networks: null, Ports: null } });
    expect(found).toMatchObject({ Config: { Labels: {} }, State: { Paused: false, StartedAt: '' }, NetworkSettings: { Networks: {}, Ports: {} } });
  });

  it('leave out of a list what does not fit, and nothing else', () => {
    expect(ContainerList.parse([null, { Id: 'one' }, { Id: 7 }, { Id: 'two', Labels: { a: 1 } }, { Id: 'three', Labels: null }])).toMatchObject([{ Id: 'one' }, { Id: 'three', Labels: {} }]);
    expect(ContainerList.parse(null)).toEqual([]);
  });

  it.each(['', 'x', '1', '1.41/../..', null, 1.41])('take no %j for a version', (ApiVersion) => {
    expect(Version.safeParse({ ApiVersion }).success).toBe(false);
  });
});
