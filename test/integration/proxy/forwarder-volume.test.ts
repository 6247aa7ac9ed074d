import { spawn } from 'node:child_process';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { build, removeBuilt } from './built-probe.ts';

const VOLUME_BYTES = 2 * 2 ** 30;
const CHUNK = Buffer.alloc(256 * 1024, 'p');
const PEAK_BYTES = 150 * 2 ** 20;

let probe: string;
beforeAll(async () => {
  probe = await build(fileURLToPath(new URL('volume-probe.ts', import.meta.url)));
});

afterAll(removeBuilt);

const received: number[] = [];
const upstream = createServer({ requestTimeout: 0 }, (incoming, response) => {
  let count = 0;
  incoming.on('data', (chunk: Buffer) => (count += chunk.length));
  incoming.on('end', () => {
    received.push(count);
    if (incoming.method !== 'GET') return response.end(String(count));
    let left = VOLUME_BYTES / CHUNK.length;
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (!response.write(CHUNK)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
});
beforeAll(() => new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => upstream.close(resolve)));

it('2 GiB up and 2 GiB down pass at under 150 MB of memory', async () => {
  const child = spawn(process.execPath, [probe, String((upstream.address() as AddressInfo).port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);

  expect(await upload(port)).toBe(String(VOLUME_BYTES));
  expect(await download(port)).toBe(VOLUME_BYTES);

  child.stdin.end();
  const report = JSON.parse((await lines.next()).value as string) as { peakBytes: number; stats: { bytesIn: number; bytesOut: number }[] };
  await once(child, 'close');
  expect(received[0]).toBe(VOLUME_BYTES);
  expect(report.stats[0]!.bytesIn).toBe(VOLUME_BYTES);
  expect(report.stats[1]!.bytesOut).toBe(VOLUME_BYTES);
  expect(report.peakBytes).toBeLessThan(PEAK_BYTES);
});

function upload(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method: 'PUT', path: '/up', headers: { 'Content-Length': VOLUME_BYTES } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part)).on('end', () => resolve(text));
    });
    outgoing.on('error', reject);
    let left = VOLUME_BYTES / CHUNK.length;
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (!outgoing.write(CHUNK)) return void outgoing.once('drain', more);
      }
      outgoing.end();
    };
    more();
  });
}

function download(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/down' }, (response) => {
      let count = 0;
      response.on('data', (chunk: Buffer) => (count += chunk.length)).on('end', () => resolve(count)).on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}
