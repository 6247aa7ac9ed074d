import { expect, it } from 'vitest';
import { lastLogLines } from '../../../src/docker/container-log.ts';

function frame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}
const lines = (bytes: Buffer, count: number, size = 7): Promise<string[]> => lastLogLines(cut(bytes, size), count);

it('reads both streams out of their frames, and the last lines of them', async () => {
  const bytes = Buffer.concat([frame(1, 'one\n'), frame(2, 'two\r\n'), frame(1, 'thr'), frame(1, 'ee\n'), frame(2, '')]);
  expect(await lines(bytes, 10)).toEqual(['one', 'two', 'three']);
  expect(await lines(bytes, 2)).toEqual(['two', 'three']);
});

it('takes the bytes of a terminal as they are, and nothing for nothing', async () => {
  expect(await lines(Buffer.from('plain\r\ntext, more than eight bytes'), 10)).toEqual(['plain', 'text, more than eight bytes']);
  expect(await lines(Buffer.alloc(0), 10)).toEqual([]);
});

it('bounds a line, and survives a frame that was cut off', async () => {
  expect((await lines(frame(1, 'x'.repeat(10_000)), 10))[0]).toHaveLength(4096);
  expect(await lines(frame(1, 'whole line').subarray(0, 13), 10)).toEqual(['whole']);
});

it('holds no more than the last lines of an engine that tells more than it was asked for', async () => {
  let held = 0;
  const endless = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < 2_000; at += 1) yield await Promise.resolve(Buffer.from(`${String(at).padEnd(60_000, '.')}\n`));
    held = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  };
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  expect((await lastLogLines(endless(), 2)).map((line) => line.slice(0, 4))).toEqual(['1998', '1999']);
  // 120 MB went through.
  expect(held - before).toBeLessThan(100 * 2 ** 20);
});
