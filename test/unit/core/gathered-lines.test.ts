import { expect, it, vi } from 'vitest';
import { GatheredLines } from '../../../src/core/gathered-lines.ts';

function makeSink() {
  const writes: string[] = [];
  const flushSync = vi.fn();
  return { writes, flushSync, write: (text: string) => writes.push(text) };
}

it('hands on what comes within the time in one write, in order', async () => {
  const sink = makeSink();
  const lines = new GatheredLines(sink, 5);
  lines.write('one\n');
  lines.write('two\n');
  expect(sink.writes).toEqual([]);
  await vi.waitFor(() => expect(sink.writes).toEqual(['one\ntwo\n']));
  lines.write('three\n');
  await vi.waitFor(() => expect(sink.writes).toEqual(['one\ntwo\n', 'three\n']));
});

it('does not wait with much, and keeps nothing back', () => {
  const sink = makeSink();
  const lines = new GatheredLines(sink, 60_000);
  const line = `${'x'.repeat(999)}\n`;
  for (let count = 0; count < 40; count += 1) lines.write(line);
  expect(sink.writes).toHaveLength(2);
  lines.flushSync();
  expect(sink.writes.join('')).toBe(line.repeat(40));
  expect(sink.flushSync).toHaveBeenCalledOnce();
});

it('hands on nothing where there is nothing', () => {
  const sink = makeSink();
  new GatheredLines(sink, 5).flushSync();
  expect(sink.writes).toEqual([]);
  expect(sink.flushSync).toHaveBeenCalledOnce();
});
