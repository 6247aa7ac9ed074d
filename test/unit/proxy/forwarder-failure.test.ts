import { createServer as createNetServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { headLines, listen, Rig } from './rig.ts';

let rig: Rig;
afterEach(() => rig.stop());

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A rig whose upstream takes no connections any more. */
async function refusingRig(): Promise<Rig> {
  const made = await Rig.raw(() => undefined);
  await new Promise((resolve) => made.back.close(resolve));
  return made;
}

describe('upstreams that cannot be reached', () => {
  it('a refused connection can be replayed, with its body untouched', async () => {
    rig = await refusingRig();
    const client = await rig.client();
    const text = await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello').until('"code":"upstream_unreachable"');
    expect(headLines(text)[0]).toBe('HTTP/1.1 502 Bad Gateway');
    const { end, stats } = await rig.end();
    expect(end).toMatchObject({ kind: 'failed', replayable: true, error: { code: 'upstream_unreachable' } });
    expect(stats.bytesIn).toBe(0);
  });

  it('a refused request arrives whole at another upstream', async () => {
    rig = await refusingRig();
    let heard: ReturnType<typeof listen> | undefined;
    const other = createNetServer((socket) => {
      heard = listen(socket);
      void heard.until('hello').then(() => socket.end(OK));
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const port = (other.address() as { port: number }).port;
    rig.front.removeAllListeners('request');
    rig.front.on('request', (request, response) => {
      const context = { requestId: 'r', mayRetry: true, stats: { bytesIn: 0, bytesOut: 0, status: 0, ttfbMs: 0 } };
      void (async () => {
        const first = await rig.forwarder.request(request, response, rig.upstream, context);
        expect(first.kind).toBe('failed');
        await rig.forwarder.request(request, response, { host: '127.0.0.1', port }, context);
      })();
    });
    const client = await rig.client();
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello').until('\r\n\r\nok');
    await new Promise((resolve) => other.close(resolve));
  });

  it('a connection that is never taken ends with CONNECT_TIMEOUT', async () => {
    // A listener that takes nothing, with its queue filled, drops further attempts without a word (Linux).
    const full = await fullListener();
    rig = await Rig.raw(() => undefined, { connectTimeoutMs: 150 });
    Object.assign(rig.upstream, { port: full.port });
    const client = await rig.client();
    await client.send(GET).until('"code":"upstream_unreachable"');
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: true });
    full.stop();
  });
});

describe('idle connections that die', () => {
  /** An upstream that answers the first request on its first connection and then, at the second, does this with it. */
  async function dyingRig(second: (socket: Socket) => void, options: Parameters<typeof Rig.raw>[1] = {}): Promise<Rig> {
    let isFirst = true;
    return Rig.raw((socket) => {
      let count = 0;
      const mine = isFirst;
      isFirst = false;
      socket.on('data', () => {
        count += 1;
        if (mine && count === 2) second(socket);
        else socket.write(OK);
      });
    }, options);
  }

  it('a repeatable request is sent once more on a new connection', async () => {
    rig = await dyingRig((socket) => socket.destroy());
    const client = await rig.client();
    client.send(GET);
    await rig.end();
    client.send(GET);
    expect((await rig.end(1)).end).toEqual({ kind: 'answered', status: 200 });
    expect(rig.backSockets).toHaveLength(2);
  });

  it('also after a reset', async () => {
    rig = await dyingRig((socket) => socket.resetAndDestroy());
    const client = await rig.client();
    client.send(GET);
    await rig.end();
    client.send('DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await rig.end(1)).end).toEqual({ kind: 'answered', status: 200 });
  });

  it.each([
    ['POST', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
    ['PUT with a body', 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi'],
  ])('%s is not sent twice', async (_name, text) => {
    let heard = 0;
    rig = await dyingRig((socket) => {
      heard += 1;
      socket.destroy();
    });
    const client = await rig.client();
    client.send(GET);
    await rig.end();
    client.send(text);
    expect((await rig.end(1)).end).toMatchObject({ kind: 'failed', replayable: false, error: { code: 'upstream_failed' } });
    expect(heard).toBe(1);
    expect(rig.backSockets).toHaveLength(1);
  });

  it('one byte of an answer is an answer', async () => {
    rig = await dyingRig((socket) => socket.end('H'));
    const client = await rig.client();
    client.send(GET);
    await rig.end();
    client.send(GET);
    expect((await rig.end(1)).end).toMatchObject({ kind: 'failed', replayable: false });
    expect(rig.backSockets).toHaveLength(1);
  });

  it('is left to the caller where it wants to know', async () => {
    rig = await dyingRig((socket) => socket.destroy(), { mayRetry: false });
    const client = await rig.client();
    client.send(GET);
    await rig.end();
    client.send(GET);
    expect((await rig.end(1)).end).toMatchObject({ kind: 'failed', replayable: true });
  });

  it('a new connection that dies is not tried again', async () => {
    rig = await Rig.raw((socket) => socket.once('data', () => socket.destroy()));
    const client = await rig.client();
    client.send(GET);
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: false });
    expect(rig.backSockets).toHaveLength(1);
  });

  it('an upstream that was closed with its pool is refused, not retried for ever', async () => {
    rig = await dyingRig((socket) => {
      rig.back.close();
      socket.destroy();
    });
    const client = await rig.client();
    client.send(GET);
    await rig.end();
    client.send(GET);
    expect((await rig.end(1)).end).toMatchObject({ kind: 'failed', replayable: true, error: { code: 'upstream_unreachable' } });
  });

  it('release closes what is idle, and a busy connection after its request', async () => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha'));
    });
    const client = await rig.client();
    await client.send(GET).until('ha');
    rig.forwarder.release(rig.upstream);
    back!.write('lf');
    await client.until('half');
    expect((await rig.end()).end.kind).toBe('answered');
    await new Promise((resolve) => back!.once('close', resolve).once('end', resolve));
  });
});

describe('time limits', () => {
  it('UPSTREAM_TIMEOUT: silence before the head is 504', async () => {
    rig = await Rig.raw((socket) => socket.resume(), { upstreamTimeoutMs: 80 });
    const client = await rig.client();
    const text = await client.send(GET).until('"code":"upstream_timeout"');
    expect(headLines(text)[0]).toBe('HTTP/1.1 504 Gateway Timeout');
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: false });
  });

  it('UPSTREAM_TIMEOUT does not count once the head is there', async () => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na'));
    }, { upstreamTimeoutMs: 60 });
    const client = await rig.client();
    await client.send(GET).until('\r\n\r\na');
    await new Promise((resolve) => setTimeout(resolve, 200));
    back!.write('bc');
    await client.until('abc');
    expect((await rig.end()).end.kind).toBe('answered');
  });

  it('a body that stalls is 408, and the upstream is cut', async () => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => (heard = listen(socket)), { bodyIdleTimeoutMs: 80, upstreamTimeoutMs: 30 });
    const client = await rig.client();
    const text = await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe').until('"code":"request_timeout"');
    expect(headLines(text)[0]).toBe('HTTP/1.1 408 Request Timeout');
    expect(text).toContain('Connection: close');
    await heard!.ended;
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: false });
  });

  it('an upstream that does not take the body is not the client\'s stall', async () => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.pause();
    }, { bodyIdleTimeoutMs: 60 });
    const client = await rig.client();
    const size = 40_000_000;
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`).send(Buffer.alloc(size));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(rig.endCount).toBe(0);
    let count = 0;
    back!.on('data', (chunk: Buffer) => {
      count += chunk.length;
      if (count > size) back!.write(OK);
    });
    back!.resume();
    await client.until('\r\n\r\nok');
    expect((await rig.end()).stats.bytesIn).toBe(size);
  });
});

describe('clients that leave', () => {
  it.each([
    ['before the answer', ''],
    ['in the middle of it', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'],
  ])('%s: the upstream hears it at once', async (_name, answer) => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => {
      heard = listen(socket);
      socket.once('data', () => socket.write(answer));
    });
    const client = await rig.client();
    client.send(GET);
    while (!heard) await new Promise<void>((resolve) => setImmediate(resolve));
    await heard.until('\r\n\r\n');
    if (answer) await client.until('abc');
    client.socket.destroy();
    await heard.ended;
    expect((await rig.end()).end).toEqual({ kind: 'aborted', status: answer ? 200 : undefined });
  });

  it('in the middle of their body', async () => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => (heard = listen(socket)));
    const client = await rig.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nabc');
    while (!heard) await new Promise<void>((resolve) => setImmediate(resolve));
    await heard.until('abc');
    client.socket.resetAndDestroy();
    await heard.ended;
    expect((await rig.end()).end).toEqual({ kind: 'aborted', status: undefined });
  });

  it('after the answer but in the middle of their body: the upstream hears that too', async () => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => {
      heard = listen(socket);
      void heard.until('abc').then(() => socket.write(OK));
    });
    const client = await rig.client();
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nabc').until('\r\n\r\nok');
    client.socket.destroy();
    await heard!.ended;
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 200 });
  });
});

/** Fills the queue of a listener in another process that never accepts, so that further connections stay unanswered. */
async function fullListener(): Promise<{ port: number; stop(): void }> {
  const { spawn } = await import('node:child_process');
  const { connect } = await import('node:net');
  const script = "const s=require('node:net').createServer();s.listen({port:0,host:'127.0.0.1',backlog:1},()=>{console.log(s.address().port);process.stdout.write('',()=>{Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0)})})";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const port = Number(await new Promise<string>((resolve) => child.stdout.once('data', (data: Buffer) => resolve(data.toString()))));
  const fillers = Array.from({ length: 8 }, () => connect({ port, host: '127.0.0.1' }).on('error', () => undefined));
  await new Promise((resolve) => setTimeout(resolve, 100));
  return {
    port,
    stop() {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
    },
  };
}
