import { expect, it } from 'vitest';
import { logLines } from '../../../src/docker/container-log.ts';

function frame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

it('reads both streams out of their frames, and the last lines of them', () => {
  const bytes = Buffer.concat([frame(1, 'one\n'), frame(2, 'two\r\n'), frame(1, 'thr'), frame(1, 'ee\n'), frame(2, '')]);
  expect(logLines(bytes, 10)).toEqual(['one', 'two', 'three']);
  expect(logLines(bytes, 2)).toEqual(['two', 'three']);
});

it('takes the bytes of a terminal as they are, and nothing for nothing', () => {
  expect(logLines(Buffer.from('plain\r\ntext, more than eight bytes'), 10)).toEqual(['plain', 'text, more than eight bytes']);
  expect(logLines(Buffer.alloc(0), 10)).toEqual([]);
});

it('bounds a line, and survives a frame that was cut off', () => {
  expect(logLines(frame(1, 'x'.repeat(10_000)), 10)[0]).toHaveLength(4096);
  expect(logLines(frame(1, 'whole line').subarray(0, 13), 10)).toEqual(['whole']);
});
