import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { ownProcess } from '../../lab/owned-process.ts';
import { sweep } from '../../lab/sweep.ts';

const script = fileURLToPath(new URL('../../lab/sweep.mjs', import.meta.url));
const strangers: ChildProcess[] = [];

afterEach(() => {
  for (const stranger of strangers.splice(0)) stranger.kill('SIGKILL');
});

describe('the sweep of a lab', () => {
  it('ends what is noted in the directory and removes it', async () => {
    const { dir, owned } = await directoryWithProcess();
    const gone = once(owned.child, 'exit');
    await sweep(dir);
    expect((await gone)[1]).toBe('SIGTERM');
    expect(existsSync(dir)).toBe(false);
  });

  it('ends nothing that only has the number of something noted', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'pipes-sweep-'));
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    strangers.push(stranger);
    await once(stranger, 'spawn');
    writeFileSync(join(dir, 'old.pid'), `${String(stranger.pid)} 1\n`);
    await sweep(dir);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  it('happens by itself when the process that asked for it is killed', async () => {
    const { dir, owned } = await directoryWithProcess();
    const gone = once(owned.child, 'exit');
    const code = `require('node:child_process').spawn(process.execPath, [${JSON.stringify(script)}, '--when-stdin-ends', ${JSON.stringify(dir)}], { stdio: ['pipe', 'ignore', 'inherit'], detached: true }).once('spawn', () => console.log('up')); setInterval(() => {}, 1000)`;
    const asker = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(asker.stdout, 'data');
    asker.kill('SIGKILL');
    expect((await gone)[1]).toBe('SIGTERM');
  });
});

async function directoryWithProcess() {
  const dir = mkdtempSync(join(tmpdir(), 'pipes-sweep-'));
  mkdirSync(join(dir, 'part'));
  const owned = await ownProcess({
    command: process.execPath,
    args: ['-e', 'setInterval(() => {}, 1000)'],
    cwd: dir,
    pidFile: join(dir, 'part/sleeper.pid'),
    logFile: join(dir, 'part/sleeper.log'),
  });
  return { dir, owned };
}
