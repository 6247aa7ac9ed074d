import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const script = fileURLToPath(new URL('./sweep.mjs', import.meta.url));

/** Ends and removes what a directory of the lab owns, now. */
export async function sweep(dir: string): Promise<void> {
  await promisify(execFile)(process.execPath, [script, dir], { timeout: 60_000 });
}

/**
 * Sets a watch that sweeps `dir` when this process ends, by whatever: a signal, a crash, `kill -9`. What it returns sweeps now and waits.
 */
export async function sweepAtEnd(dir: string): Promise<() => Promise<void>> {
  const watch = spawn(process.execPath, [script, '--when-stdin-ends', dir], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  await once(watch, 'spawn');
  watch.unref();
  return async () => {
    // Nothing else may keep this process alive by now, and it is to see the end of it.
    watch.ref();
    const gone = once(watch, 'exit');
    watch.stdin.end();
    await gone;
  };
}
