import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createServer as createNetServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ForwardAuth, type GivenAnswer } from '../../../../src/security/proxy/forward-auth.ts';

const NEVER = new AbortController().signal;
const servers: NetServer[] = [];
const auths: ForwardAuth[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const auth of auths.splice(0)) auth.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => {
    (server as Partial<Server>).closeAllConnections?.();
    server.close(resolve);
  })));
});

async function listening(server: NetServer): Promise<string> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const http = (listener: RequestListener): Promise<string> => listening(createServer(listener));
const raw = (serve: (socket: Socket) => void): Promise<string> => listening(createNetServer(serve));
function auth(timeoutMs = 5_000): ForwardAuth {
  const made = new ForwardAuth(timeoutMs);
  auths.push(made);
  return made;
}
const ask = (url: string, headers: readonly string[] = [], asked: IncomingHttpHeaders = {}, signal = NEVER, timeoutMs?: number): Promise<GivenAnswer> => auth(timeoutMs).ask(url, headers, asked, signal);
const unavailable = (why: RegExp): Error => expect.objectContaining({ code: 'access_unavailable', cause: expect.objectContaining({ message: expect.stringMatching(why) as string }) as Error }) as Error;

describe('the service that says who may visit', () => {
  it('is sent the question as it is, and its answer is given as it is', async () => {
    let heard: { method: string; url: string; headers: string[] } | undefined;
    const url = await http((request, response) => {
      heard = { method: request.method!, url: request.url!, headers: request.rawHeaders };
      response.writeHead(302, 'Over there', ['Location', 'https://login.example.com/?rd=x', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']);
      response.end('see there');
    });
    const answer = await ask(`${url}/verify?app=1`, ['Cookie', 'a=b', 'X-Two', '1', 'X-Two', '2']);
    expect(answer).toMatchObject({ status: 302, reason: 'Over there', body: Buffer.from('see there') });
    expect(answer.headers.slice(0, 6)).toEqual(['Location', 'https://login.example.com/?rd=x', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']);
    expect(heard).toMatchObject({ method: 'GET', url: '/verify?app=1' });
    expect(heard!.headers.slice(0, 2)).toEqual(['Host', url.slice('http://'.length)]);
    expect(heard!.headers.join('|')).toContain('Cookie|a=b|X-Two|1|X-Two|2');
  });

  it('may end its answer with the connection', async () => {
    const url = await raw((socket) => void socket.once('data', () => socket.end('HTTP/1.0 403 No\r\n\r\nnot you')));
    expect(await ask(url)).toMatchObject({ status: 403, body: Buffer.from('not you') });
  });

  it('is asked over connections that are kept, and once more where one of them was just closed', async () => {
    let connections = 0;
    const url = await raw((socket) => {
      connections += 1;
      const isFirst = connections === 1;
      let questions = 0;
      socket.on('error', () => undefined);
      socket.on('data', () => {
        questions += 1;
        if (isFirst && questions === 3) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 204 Fine\r\n\r\n');
      });
    });
    const asking = auth();
    for (let at = 0; at < 5; at += 1) expect((await asking.ask(url, [], {}, NEVER)).status).toBe(204);
    // The first; the one for the question that it lost, which is not kept; and a new one to keep.
    expect(connections).toBe(3);
  });

  it('lets nobody in while it cannot be asked, or says nothing that can be used', async () => {
    const gone = await http(() => undefined);
    await new Promise((resolve) => servers.pop()!.close(resolve));
    await expect(ask(gone)).rejects.toThrow(unavailable(/cannot be reached/));
    await expect(ask(await raw((socket) => socket.end('nonsense\r\n\r\n')))).rejects.toThrow(unavailable(/cannot be reached/));
    await expect(ask(await raw((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')))).rejects.toThrow(unavailable(/cannot be reached/));
    await expect(ask(await raw((socket) => socket.end('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')))).rejects.toThrow(unavailable(/cannot be reached/));
    await expect(ask(await http((_request, response) => response.end(Buffer.alloc(2 ** 20 + 1))))).rejects.toThrow(unavailable(/larger than 1 MB/));
    await expect(ask(await http(() => undefined), [], {}, NEVER, 50)).rejects.toThrow(unavailable(/did not answer in 0.05 s/));
    const halting = await http((_request, response) => response.write('200 and then nothing'));
    await expect(ask(halting, [], {}, NEVER, 50)).rejects.toThrow(unavailable(/did not answer/));
  });

  it('is not waited for by a visitor who left', async () => {
    const leaving = new AbortController();
    const left = new Error('left');
    const url = await http(() => leaving.abort(left));
    await expect(ask(url, [], {}, leaving.signal)).rejects.toBe(left);
  });

  it('is not asked whether it may be asked', async () => {
    let count = 0;
    const asking = auth();
    const url: string = await http((request, response) => {
      count += 1;
      asking.ask(url, [], request.headers, NEVER).then(
        () => response.end(),
        (error: unknown) => response.writeHead(503).end((error as { code: string }).code),
      );
    });
    expect(await asking.ask(url, [], {}, NEVER)).toMatchObject({ status: 503, body: Buffer.from('access_unavailable') });
    expect(count).toBe(1);
  });
});
