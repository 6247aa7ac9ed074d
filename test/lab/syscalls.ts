import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { labDirectory } from './lab.ts';
import { until } from './until.ts';

/** True where other processes can be watched (Debian: strace). */
export function canTrace(): boolean {
  return (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, 'strace')));
}

/**
 * The system calls that name or sync files, or read them at a place, which the process makes in all its threads while `work` runs. Reads and
 * writes of what is open already (sockets, the log) are not among them.
 */
export async function diskCallsDuring(pid: number, work: () => Promise<void>): Promise<string[]> {
  const output = join(labDirectory('trace'), 'calls');
  const tracer = spawn('strace', ['-f', '-p', String(pid), '-e', 'trace=%file,fsync,fdatasync,pread64,pwrite64,preadv,pwritev,getdents64', '-e', 'signal=none', '-o', output], { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = once(tracer, 'exit');
  let said = '';
  tracer.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    await until('strace has attached', () => {
      if (tracer.exitCode !== null) throw new Error(`strace could not attach: ${said}`);
      return /attached/.test(said);
    });
    await work();
  } finally {
    tracer.kill('SIGINT');
    await gone;
  }
  return readFileSync(output, 'utf8').split('\n').filter((line) => /^\d+\s+\w+\(/.test(line));
}
