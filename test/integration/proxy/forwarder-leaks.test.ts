import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { build, removeBuilt } from './built-probe.ts';

const run = promisify(execFile);

interface Left {
  readonly ends: Record<string, number>;
  readonly heapGrowthBytes: number;
  readonly frontSockets: number;
  readonly upstreamSockets: number;
  readonly keptListeners: number[];
}

async function after(what: string): Promise<Left> {
  const probe = await build(fileURLToPath(new URL('leak-probe.ts', import.meta.url)));
  const { stdout } = await run(process.execPath, ['--expose-gc', probe, what], { timeout: 50_000 });
  return JSON.parse(stdout) as Left;
}

afterAll(removeBuilt);

describe('a thousand times over, nothing is left behind', () => {
  it.each([
    ['abort-early', 'aborted'],
    ['abort-late', 'aborted'],
    ['abort-upload', 'aborted'],
    ['abort-upgrade', 'aborted'],
    ['refused-upgrade', 'answered'],
  ])('%s', async (what, kind) => {
    const left = await after(what);
    expect(left.ends).toEqual({ [kind]: 1000 });
    expect(left.frontSockets).toBe(0);
    expect(left.upstreamSockets).toBe(0);
    expect(left.heapGrowthBytes).toBeLessThan(5 * 1024 * 1024);
    // The second request's count, and those of the last two.
    expect(new Set(left.keptListeners).size).toBe(1);
  });
});
