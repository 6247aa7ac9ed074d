import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PipesProcess } from './pipes-process.ts';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `pipes …` to its end, as a user does at a shell, against that pipes. */
export async function runPipes(pipes: PipesProcess, args: readonly string[], token: string | undefined = pipes.token): Promise<CommandResult> {
  const env = { PATH: process.env['PATH'], PIPES_URL: `http://localhost:${pipes.port}`, ...(token === '' ? {} : { PIPES_TOKEN: token }) };
  return await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}

const PROGRAM = fileURLToPath(new URL('../../bin/pipes.js', import.meta.url));
