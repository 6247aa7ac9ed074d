import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { openRequest, request } from '../lab/http-client.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { processFacts } from '../lab/process-facts.ts';
import { openRawSocket } from '../lab/raw-socket.ts';
import { until } from '../lab/until.ts';
import { describeForwarding } from './forwarding.ts';

describeForwarding('network');

describe('what it costs', () => {
  const apps = new Apps('cost');
  let pipes: PipesProcess;
  let app: App;

  beforeAll(async () => {
    const toldToCollect = "process.on('SIGUSR2', () => { gc(); process.stderr.write(`heap:${process.memoryUsage().heapUsed}\\n`); });";
    pipes = await startPipes({ nodeArgs: ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(toldToCollect)}`] });
    app = await apps.build('app');
    await request(pipes.port, { host: app.host });
  });
  afterAll(async () => await pipes.stop());

  /** Of the process, after a collection. */
  async function heapBytes(): Promise<number> {
    const before = pipes.output().match(/heap:\d+/g)?.length ?? 0;
    pipes.signal('SIGUSR2');
    const told = await until('it has collected', () => pipes.output().match(/heap:\d+/g)?.[before]);
    return Number(told.slice('heap:'.length));
  }

  it('is less than 150 MB of memory for 2 GiB in each direction', async () => {
    const bytes = 2 * 1024 ** 3;
    const sent = createHash('sha256');
    const answer = await request(pipes.port, { host: app.host, path: '/sink', method: 'POST', headers: { 'content-length': bytes }, body: Readable.from(blocks(bytes, sent), { objectMode: false }), timeoutMs: 100_000 });
    expect(answer.json()).toEqual({ bytes, sha256: sent.digest('hex') });

    const { response } = await openRequest(pipes.port, { host: app.host, path: `/stream?bytes=${bytes}&sha256=1`, headers: { te: 'trailers' }, timeoutMs: 100_000 });
    const got = createHash('sha256');
    let gotBytes = 0;
    for await (const chunk of response) {
      gotBytes += (chunk as Buffer).length;
      got.update(chunk as Buffer);
    }
    expect(gotBytes).toBe(bytes);
    expect(got.digest('hex')).toBe(response.trailers['x-sha256']);
    // The highest it ever was, kept by the kernel.
    expect(processFacts(pipes.pid).peakRssBytes).toBeLessThan(150_000_000);
  });

  it('is nothing that stays, for 1,000 clients who leave and 1,000 upgrades that are refused', async () => {
    const round = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at += 50) await Promise.all(Array.from({ length: 50 }, () => Promise.all([leave(), refused()])));
    };
    const leave = async (): Promise<void> => {
      const { request: outgoing, response } = await openRequest(pipes.port, { host: app.host, path: '/hang-mid?bytes=100' });
      response.on('error', () => undefined);
      outgoing.destroy();
    };
    const refused = async (): Promise<void> => {
      const socket = await openRawSocket(pipes.port);
      socket.write(`GET /?refuse=403 HTTP/1.1\r\nHost: ${app.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`);
      await socket.until('refused');
      socket.destroy();
    };
    const quiet = () => until('the app has no request left', async () => (await request(pipes.port, { host: app.host, path: '/open' })).json()['open'] === 0);
    // What is compiled, cached and pooled once is no leak.
    await round(200);
    await quiet();
    const before = { heap: await heapBytes(), sockets: processFacts(pipes.pid).sockets };
    const aborts = (await request(pipes.port, { host: app.host, path: '/aborts' })).json<{ aborts: number }>().aborts;
    await round(1_000);
    await quiet();
    expect((await request(pipes.port, { host: app.host, path: '/aborts' })).json<{ aborts: number }>().aborts - aborts).toBe(1_000);
    await until('no socket is left', () => processFacts(pipes.pid).sockets <= before.sockets + 2);
    expect(await heapBytes() - before.heap).toBeLessThan(5_000_000);
    expect(pipes.output()).not.toMatch(/MaxListeners|nobody handled/);
    expect((await request(pipes.port, { host: app.host, path: '/__proxyapi/container', token: pipes.token })).json()).toMatchObject({ inFlight: 0 });
    expect((await request(pipes.port, { host: app.host })).text).toBe(greeting(app));
  });

  it('is one line of the log, with all that is to be known', async () => {
    await request(pipes.port, { host: app.host, path: '/sink?secret=1', body: 'twelve bytes' });
    const line = await until('it is logged', () => pipes.logLines().find((entry) => entry['path'] === '/sink' && entry['bytesIn'] === 12));
    expect(line).toMatchObject({ ref: app.reference, method: 'POST', status: 200, upstream: expect.stringMatching(/:80$/) as string, ms: expect.any(Number) as number, bytesOut: expect.any(Number) as number });
    expect(JSON.stringify(line)).not.toContain('secret=1');
    expect(pipes.logLines().some((entry) => entry['ref'] === app.reference && Number(entry['wakeMs']) > 0)).toBe(true);
  });
});

/** So many bytes in blocks of 1 MiB that differ, with their digest. */
function* blocks(bytes: number, digest: ReturnType<typeof createHash>): Generator<Buffer> {
  for (let sent = 0, block = 0; sent < bytes; sent += 1024 ** 2, block += 1) {
    const chunk = Buffer.alloc(1024 ** 2, block % 251);
    chunk.writeUInt32LE(block, 0);
    digest.update(chunk);
    yield chunk;
  }
}
