import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { engineAnswers } from './engine-http.ts';
import { keepingRulesOfOthers } from './firewall.ts';
import type { Machine } from './machine.ts';
import { ownProcess, type OwnedProcess } from './owned-process.ts';
import { sweep } from './sweep.ts';
import { until } from './until.ts';

/** A Docker engine of the lab's own, beside any other on the machine: roots, socket, bridge, addresses and cgroup are its own. */
export interface Engine {
  readonly dockerHost: string;
  /** What dockerd has printed. */
  output(): string;
  /** Its containers stop with it, as with a machine's engine without live-restore. */
  stop(): Promise<void>;
  /** SIGKILL. Its containers go on running until it is started again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Stops and goes on: it takes connections and answers nothing in between. */
  freeze(): void;
  thaw(): void;
  /** Removes it with everything it ran and kept. */
  close(): Promise<void>;
}

export interface EngineOptions {
  /** The lab's directory: what is below it is swept when the run ends, however it ends. */
  readonly labDir: string;
  /**
   * An engine that starts rewrites the firewall chains all engines of a machine share (the rules of others are put back at once). Off: published ports work on loopback, and there
   * is no isolation and no way out. Engines that a fault test starts beside others leave the chains alone.
   */
  readonly iptables?: boolean;
  readonly extraArgs?: readonly string[];
  /** A machine of its own to run on: its firewall is nobody else's, so the engine has the whole of it. */
  readonly machine?: Machine;
  /** Gives it a disk of that size, in memory, that can run full. */
  readonly diskBytes?: number;
}

/** Starts an engine and waits until it answers. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const obstacle = engineObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  const root = mkdtempSync(join(options.labDir, 'engine-'));
  const slot = options.machine?.bridge ?? claimBridge();
  // Bridges are told apart within one network namespace, cgroups and processes of the machine across all: those need a name of their own.
  const own = `pipes-${basename(root)}`;
  // A machine's bridges and rules go with it.
  const ofThisMachine = options.machine ? {} : { bridge: slot.bridge, subnet: `10.214.${slot.index}.0/24` };
  const names = { root, namespace: own, cgroup: own, ...ofThisMachine };
  writeFileSync(join(root, 'engine.json'), JSON.stringify(names));
  for (const part of ['data', 'exec']) mkdirSync(join(root, part));
  if (options.diskBytes !== undefined) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${options.diskBytes}`, 'tmpfs', join(root, 'data')]);
  const dockerHost = `unix://${root}/docker.sock`;
  const args = [
    ...['--data-root', `${root}/data`, '--exec-root', `${root}/exec`, '--pidfile', `${root}/dockerd-own-pid`, '-H', dockerHost],
    // No address pool of its own for further networks: an engine that has one removes docker0, whosever it is, when it starts again.
    ...['--bridge', slot.bridge],
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${names.cgroup}`],
    // Where the machine's containerd runs, dockerd uses it: keep out of the other engine's names there.
    ...['--containerd-namespace', names.namespace, '--containerd-plugins-namespace', `${names.namespace}-plugins`],
    ...(options.iptables === true || options.machine ? [] : ['--iptables=false', '--ip-masq=false']),
    ...(options.extraArgs ?? []),
  ];
  let daemon: OwnedProcess | undefined;
  const engine: Engine = {
    dockerHost,
    output: () => daemon?.output() ?? '',
    async start() {
      if (daemon?.runs() === true) return;
      // A killed dockerd leaves these behind, and the next one would take a zombie of that number for a running process.
      rmSync(`${root}/dockerd-own-pid`, { force: true });
      if (!containerdRuns(root)) rmSync(`${root}/exec/containerd/containerd.pid`, { force: true });
      const [command = '', ...words] = [...(options.machine?.enter ?? []), 'dockerd', ...args];
      const started = await ownProcess({ command, args: words, cwd: root, pidFile: `${root}/dockerd.pid`, logFile: `${root}/dockerd.log` });
      daemon = started;
      const answering = async () => {
        await until('dockerd answers', async () => {
          if (!started.runs()) throw new Error(`dockerd exited: ${lastLine(started.output())}`);
          return await engineAnswers(dockerHost);
        }, 60_000, 50);
      };
      await (options.iptables === true && !options.machine ? keepingRulesOfOthers(answering) : answering());
    },
    stop: async () => await daemon?.end('SIGTERM', 20_000),
    async kill() {
      await daemon?.end('SIGKILL');
      // Its containerd dies with it, a moment later; containers and their shims stay.
      await until('containerd is gone', () => !containerdRuns(root), 5_000);
    },
    freeze: () => daemon?.signal('SIGSTOP'),
    thaw: () => daemon?.signal('SIGCONT'),
    async close() {
      daemon?.signal('SIGCONT');
      // What does not stop in time is ended by the sweep.
      await daemon?.end('SIGTERM', 4_000);
      await sweep(root);
    },
  };
  try {
    await engine.start();
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

/** In one line, why no engine can be started on this machine; undefined when nothing speaks against it. */
export function engineObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'a private engine needs root: run as root, or set DOCKER_HOST to an engine that answers';
  const path = (process.env['PATH'] ?? '').split(':');
  const missing = ['dockerd', 'iptables', 'ip'].filter((command) => !path.some((dir) => existsSync(join(dir, command))));
  if (missing.length > 0) return `a private engine needs ${missing.join(', ')} in the PATH (Debian: docker.io, iptables, iproute2)`;
  const trees = existsSync('/sys/fs/cgroup') ? readdirSync('/sys/fs/cgroup') : [];
  if (!trees.includes('cgroup.controllers') && !trees.includes('memory')) return 'a private engine needs cgroups mounted at /sys/fs/cgroup';
  return undefined;
}

/** A bridge that is made is a slot that is taken: the kernel makes each name only once, whoever asks at the same time. */
function claimBridge(): { bridge: string; index: number } {
  for (let index = 0; index < 16; index += 1) {
    const bridge = `pipes-lab-${index}`;
    try {
      execFileSync('ip', ['link', 'add', bridge, 'type', 'bridge'], { stdio: 'pipe' });
    } catch (error) {
      if (String(error).includes('File exists')) continue;
      throw new Error(`a private engine needs a network bridge of its own, and none can be made: ${String(error)}`, { cause: error });
    }
    execFileSync('ip', ['addr', 'add', `10.214.${index}.1/24`, 'dev', bridge]);
    execFileSync('ip', ['link', 'set', bridge, 'up']);
    return { bridge, index };
  }
  throw new Error('all 16 places for private engines are taken: `ip link del pipes-lab-N` removes those of runs that are long gone');
}

/** dockerd's own containerd, where the machine runs none; a zombie does not run. */
function containerdRuns(root: string): boolean {
  try {
    const pid = readFileSync(`${root}/exec/containerd/containerd.pid`, 'utf8').trim();
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

function lastLine(output: string): string {
  return output.trimEnd().split('\n').at(-1) ?? 'it said nothing';
}
