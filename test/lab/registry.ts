import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { ownProcess, type OwnedProcess } from './owned-process.ts';
import { until } from './until.ts';

export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** A registry on 127.0.0.1 over plain HTTP (every engine allows that for loopback), with a login if it was given one. */
export interface Registry {
  /** `127.0.0.1:port`, as image names begin. */
  readonly host: string;
  readonly login: RegistryLogin | undefined;
  /** What it has printed: its access log among it. */
  output(): string;
  stop(): Promise<void>;
  /** On the same port, with the same images. */
  start(): Promise<void>;
  /** It takes connections and answers nothing until `thaw`. */
  freeze(): void;
  thaw(): void;
}

export interface RegistryOptions {
  readonly labDir: string;
  readonly login?: RegistryLogin;
  /** It tells of what happens in it there, with this `Authorization`. */
  readonly notifies?: { readonly url: string; readonly authorization: string };
}

export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const path = (process.env['PATH'] ?? '').split(':');
  if (!path.some((dir) => existsSync(join(dir, 'docker-registry')))) throw new Error('a registry needs docker-registry in the PATH (Debian: docker-registry)');
  const root = mkdtempSync(join(options.labDir, 'registry-'));
  mkdirSync(join(root, 'data'));
  const port = await freePort();
  writeFileSync(join(root, 'config.json'), JSON.stringify(configuration(root, port, options), null, 1));
  let server: OwnedProcess | undefined;
  const registry: Registry = {
    host: `127.0.0.1:${port}`,
    login: options.login,
    output: () => server?.output() ?? '',
    async start() {
      if (server?.runs() === true) return;
      const started = await ownProcess({
        command: 'docker-registry',
        args: ['serve', 'config.json'],
        cwd: root,
        pidFile: join(root, 'registry.pid'),
        logFile: join(root, 'registry.log'),
      });
      server = started;
      await until('the registry answers', async () => {
        if (!started.runs()) throw new Error(`docker-registry exited: ${started.output().trimEnd().split('\n').at(-1) ?? ''}`);
        return await fetch(`http://127.0.0.1:${port}/v2/`, { signal: AbortSignal.timeout(2_000) }).then((answer) => answer.status === 200 || answer.status === 401, () => false);
      }, 20_000);
    },
    stop: async () => {
      server?.signal('SIGCONT');
      await server?.end('SIGTERM', 3_000);
    },
    freeze: () => server?.signal('SIGSTOP'),
    thaw: () => server?.signal('SIGCONT'),
  };
  await registry.start();
  return registry;
}

/** Every registry that was started below this directory of a lab, running or not. */
export function registryHosts(labDir: string): string[] {
  const configs = readdirSync(labDir).map((name) => join(labDir, name, 'config.json')).filter((path) => path.includes('/registry-') && existsSync(path));
  return configs.map((path) => (JSON.parse(readFileSync(path, 'utf8')) as { http: { addr: string } }).http.addr);
}

/** JSON is YAML too. */
function configuration(root: string, port: number, { login, notifies }: RegistryOptions): object {
  if (login !== undefined) {
    const line = execFileSync('htpasswd', ['-nbB', '-C', '4', login.username, login.password], { encoding: 'utf8' }).trim();
    writeFileSync(join(root, 'htpasswd'), `${line}\n`);
  }
  return {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(root, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
    ...(notifies && { notifications: { endpoints: [{ name: 'pipes', url: notifies.url, headers: { Authorization: [notifies.authorization] }, timeout: '2s', threshold: 3, backoff: '200ms' }] } }),
    ...(login === undefined ? {} : { auth: { htpasswd: { realm: 'lab', path: join(root, 'htpasswd') } } }),
  };
}
