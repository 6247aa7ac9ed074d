import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { labDirectory, useLab } from './lab.ts';
import { ownProcess, type OwnedProcess } from './owned-process.ts';
import { until } from './until.ts';

const projectDir = fileURLToPath(new URL('../../', import.meta.url));

/** pipes as users run it: the built program, a process of its own, on a port of its own. */
export interface PipesProcess {
  readonly port: number;
  readonly pid: number;
  readonly configDir: string;
  /** An admin token. */
  readonly token: string;
  /** What it has printed. */
  output(): string;
  /** Of its log, each line that is a JSON object. */
  logLines(): Readonly<Record<string, unknown>>[];
  runs(): boolean;
  exitCode(): number | null;
  /** SIGTERM, and waits until it is gone. */
  stop(): Promise<void>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

export interface PipesOptions {
  /** Default: the lab's. */
  readonly dockerHost?: string;
  /** Settings, by their names in the environment; nothing else of this process's environment gets through. `undefined` takes a default away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Given again, a second process takes over what the first left. Default: a fresh one. */
  readonly configDir?: string;
  readonly port?: number;
  /** Where its output goes. Default: the lab's directory. */
  readonly logFile?: string;
  /** How many descriptors it may have open. Default: as this process. */
  readonly openFiles?: number;
  /** The machine that it runs on, in the sense of network and firewall; default: this one. */
  readonly machine?: { readonly enter: readonly string[]; readonly address: string };
  /** Such as `--expose-gc`. */
  readonly nodeArgs?: readonly string[];
  /** Arguments of pipes. Default: `serve`. */
  readonly args?: readonly string[];
  /** False: does not wait until it listens; for starts that are to fail. */
  readonly awaitListening?: boolean;
}

/** Starts pipes and waits until it listens. One that exits before throws with what it printed. */
export async function startPipes(options: PipesOptions = {}): Promise<PipesProcess> {
  const program = join(projectDir, 'bin/pipes.js');
  if (!existsSync(join(projectDir, 'dist/main.js'))) throw new Error('there is no dist/main.js: run `npm run build` before the e2e tests');
  const lab = useLab();
  const root = labDirectory('pipes');
  const configDir = options.configDir ?? join(root, 'configs');
  mkdirSync(configDir, { recursive: true });
  mkdirSync(join(root, 'docker'));
  const port = options.port ?? (await freePort());
  const token = options.env?.['API_TOKEN'] ?? 'pipes_lab-admin-token';
  // nsenter and prlimit become what they start, so the process is the same.
  const limited = options.openFiles === undefined ? [] : ['prlimit', `--nofile=${options.openFiles}`];
  const [command = '', ...args] = [...(options.machine?.enter ?? []), ...limited, process.execPath, ...(options.nodeArgs ?? []), program, ...(options.args ?? ['serve'])];
  const server = await ownProcess({
    command,
    args,
    // A directory of its own: no `.env` of the checkout is read.
    cwd: root,
    env: environment(
      {
        DOCKER_HOST: options.dockerHost ?? lab.dockerHost,
        DOCKER_CONFIG: join(root, 'docker'),
        REGISTRY: lab.openRegistry,
        PORT: String(port),
        CONFIG_DIR: configDir,
        API_TOKEN: token,
        SSH_PORT: 'off',
        // The firewall belongs to the machine, not to a test.
        EGRESS: 'all',
        LOG_FORMAT: 'json',
      },
      options.env ?? {},
    ),
    pidFile: join(root, 'pipes.pid'),
    logFile: options.logFile ?? join(root, 'pipes.log'),
  });
  if (options.awaitListening !== false) await listening(server, port, options.machine?.address ?? '127.0.0.1');
  return {
    port,
    pid: server.pid,
    configDir,
    token,
    output: () => server.output(),
    logLines: () => server.output().split('\n').flatMap(asObject),
    runs: () => server.runs(),
    exitCode: () => server.child.exitCode,
    stop: async () => await server.end('SIGTERM', 40_000),
    kill: async () => await server.end('SIGKILL'),
    signal: (name) => server.signal(name),
  };
}

/** A fresh CONFIG_DIR for processes that follow one another. */
export function freshConfigDir(): string {
  return mkdtempSync(join(labDirectory('state'), 'configs-'));
}

async function listening(server: OwnedProcess, port: number, address: string): Promise<void> {
  await until(`pipes listens on ${port}`, async () => {
    if (!server.runs()) throw new Error(`pipes exited with ${String(server.child.exitCode)}:\n${server.output()}`);
    return await accepts(port, address);
  }, 20_000).catch(async (error: unknown) => {
    await server.end('SIGKILL');
    throw error instanceof Error ? new Error(`${error.message}\n${server.output()}`, { cause: error }) : error;
  });
}

async function accepts(port: number, address: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function environment(defaults: Readonly<Record<string, string>>, given: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const merged = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...defaults, ...given };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined));
}

function asObject(line: string): Record<string, unknown>[] {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line) as Record<string, unknown>];
  } catch {
    return [];
  }
}
