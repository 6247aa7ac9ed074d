import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

export interface OwnedProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has printed so far, both streams. */
  output(): string;
  runs(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Sends the signal and waits until the process is gone (and no zombie); SIGKILL after `graceMs`. */
  end(name: NodeJS.Signals, graceMs?: number): Promise<void>;
}

export interface ProcessPlan {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Where its pid is noted for sweep.mjs, which ends it if nobody else did. */
  readonly pidFile: string;
  readonly logFile: string;
}

/** Starts a process that the lab owns: noted on disk before anything else can fail. */
export async function ownProcess(plan: ProcessPlan): Promise<OwnedProcess> {
  const log = openSync(plan.logFile, 'a');
  // Its own session: Ctrl-C at a terminal goes to the test runner, which ends things in order.
  const child = spawn(plan.command, plan.args, { cwd: plan.cwd, env: plan.env ?? process.env, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new Error(`${plan.command} could not be started: ${error.message}`)));
  });
  child.unref();
  const pid = child.pid!;
  writeFileSync(plan.pidFile, `${pid} ${startTimeOf(pid) ?? '0'}\n`);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const runs = () => child.exitCode === null && child.signalCode === null;
  const signal = (name: NodeJS.Signals) => {
    if (runs()) child.kill(name);
  };
  return {
    pid,
    child,
    runs,
    signal,
    output: () => readFileSync(plan.logFile, 'utf8'),
    async end(name, graceMs = 15_000) {
      if (runs()) child.ref();
      signal(name);
      const timer = new AbortController();
      await Promise.race([gone, wait(graceMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
      signal('SIGKILL');
      await gone;
      rmSync(plan.pidFile, { force: true });
    },
  };
}

/** When the kernel started this process, in its own ticks; with the pid it names a process for good. */
function startTimeOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
  } catch {
    return undefined;
  }
}
