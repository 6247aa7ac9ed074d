import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LineOutput } from '../../../src/core/line-output.ts';
import { until } from '../../lab/until.ts';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'pipes-output-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open: number[] = [];
afterEach(() => open.splice(0).forEach(closeSync));
function opened(path: string, flags: string | number): number {
  const fd = openSync(path, flags);
  open.push(fd);
  return fd;
}
const outputTo = (fd: number): LineOutput => new LineOutput({ fd, lossLine: (lines) => `lost ${lines}\n` });

it('writes lines in order, and at the end what is left', async () => {
  const path = join(directory, 'log');
  const output = outputTo(opened(path, 'w'));
  const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}\n`);
  for (const line of lines.slice(0, 500)) output.write(line);
  await until('all is written', () => readFileSync(path, 'utf8') === lines.slice(0, 500).join(''));
  for (const line of lines.slice(500)) output.write(line);
  output.flushSync();
  // The one that was on its way when the end came may arrive after the rest.
  await until('all is written', () => readFileSync(path, 'utf8').split('\n').sort().join() === lines.join('').split('\n').sort().join());
});

describe.skipIf(process.platform !== 'linux')('an output that takes nothing', () => {
  it('(a full disk) holds up nobody, not even the end', async () => {
    const output = outputTo(opened('/dev/full', 'w'));
    for (let count = 0; count < 100; count += 1) output.write('line\n');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const startedMs = performance.now();
    output.flushSync();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    output.write('still alive\n');
  });

  it('(a pipe nobody reads) loses what is beyond its bound, and tells how much once it is read', async () => {
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = opened(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const output = outputTo(opened(path, constants.O_WRONLY | constants.O_NONBLOCK));
    const line = `${'x'.repeat(999)}\n`;
    for (let count = 0; count < 5_000; count += 1) output.write(line);
    let received = '';
    const buffer = Buffer.alloc(65_536);
    await until('what was lost is told', () => {
      try {
        received += buffer.toString('utf8', 0, readSync(reader, buffer));
      } catch {
        // Nothing is there yet.
      }
      output.write('more\n');
      return received.includes('lost ');
    }, 20_000, 1);
    const whole = received.split('\n').filter((each) => each === line.trimEnd()).length;
    const lost = Number(/^lost (\d+)$/m.exec(received)![1]);
    expect(whole).toBeGreaterThan(500);
    expect(lost).toBeGreaterThan(3_000);
    expect(whole + lost).toBeGreaterThanOrEqual(5_000);
  });
});
