import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { readCompose } from '../lab/compose-file.ts';
import { imageBases } from '../lab/debian-images.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { freePort } from '../lab/free-port.ts';
import { request } from '../lab/http-client.ts';
import { labDirectory, useLab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';

/** pipes as an image, as README.md and docker-compose.yml have it, on the lab's engine. */
const project = fileURLToPath(new URL('../../', import.meta.url));
const lab = useLab();
const suffix = randomBytes(3).toString('hex');
const image = `pipes-lab/pipes-${suffix}`;
const alice = new Apps('image-alice');
const bob = new Apps('image-bob');
const containers = new EngineContainers(lab.dockerHost);
const socket = new URL(lab.dockerHost).pathname;
const directory = labDirectory('image');

/** Every container of pipes that was started here, by name. */
const started = new Set<string>();
const [ran, sister, stranger] = [alice.app('web'), alice.app('sister'), bob.app('web')];

beforeAll(async () => {
  const bases = await imageBases(docker, readFileSync(join(project, 'Dockerfile'), 'utf8'));
  console.log(`the bases of the image: ${bases.origin}`);
  await docker('build', '--quiet', '--tag', image, '--build-arg', `BASE=${bases.build}`, '--build-arg', `RUNTIME=${bases.runtime}`, project);
  // One of them has to be pulled.
  await Promise.all([alice.publish('web'), alice.build('sister'), bob.build('web')]);
}, 600_000);

afterAll(async () => {
  for (const name of started) await docker('rm', '--force', '--volumes', name).catch(() => undefined);
  for (const app of [ran, sister, stranger]) for (const id of await containers.of(app.reference)) await containers.remove(id);
  for (const { user } of [alice, bob]) await docker('network', 'rm', `pipes-apps-${user}`).catch(() => undefined);
  await docker('image', 'rm', '--force', image).catch(() => undefined);
});

describe('the image', () => {
  it('is under 350 MB, with git and without npm', async () => {
    const sizeBytes = Number(await docker('image', 'inspect', '--format', '{{.Size}}', image));
    console.log(`the image has ${Math.round(sizeBytes / 1e6)} MB`);
    expect(sizeBytes).toBeGreaterThan(100e6);
    expect(sizeBytes).toBeLessThan(350e6);
    const found = await inside('git --version; test -s /etc/ssl/certs/ca-certificates.crt && echo certificates; command -v npm || echo no npm; ls -A /root');
    expect(found).toMatch(/^git version \d.*\ncertificates\nno npm\n/);
    expect(found).not.toContain('.npm');
  });

  it('holds what runs, and nothing of what tests or builds', async () => {
    expect((await inside('ls -A /pipes')).trim().split('\n').sort()).toEqual(['LICENSE', 'bin', 'dist', 'node_modules', 'package.json']);
    expect(await inside('ls /pipes/node_modules')).not.toMatch(/^(?:vitest|typescript|eslint)$/m);
  });

  it('has the defaults of an image', async () => {
    const rows = JSON.parse(await docker('run', '--rm', '--network', 'none', image, 'config', '--json')) as { name: string; value: string }[];
    const values = Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    expect(values).toMatchObject({ PORT: '80', BIND: '0.0.0.0', CONFIG_DIR: '/configs' });
  });

  it('says in one line what is wrong, and ends with 1', async () => {
    const failed = await docker('run', '--rm', '--network', 'none', '--env', 'PULL=sometimes', image).catch((error: unknown) => error as { code: number; stderr: string });
    expect(failed).toMatchObject({ code: 1, stderr: 'pipes: PULL is "sometimes"; it must be missing, always or never.\n' });
  });
});

describe('docker run, as README.md has it', () => {
  const name = `pipes-readme-${suffix}`;
  const configs = join(directory, 'readme', 'configs');
  let port: number;
  let firstLog: string;
  const visit = (app: App) => request(port, { host: app.host });

  beforeAll(async () => {
    port = await freePort();
    await start();
    firstLog = await docker('logs', name);
  });

  /** The command from the page, with the lab's socket, port and names in the places of its own. */
  async function start(): Promise<void> {
    const command = /^docker run -d[^]*? pipes$/m.exec(readFileSync(join(project, 'README.md'), 'utf8'))![0];
    const mine = replaced(command, [
      ['--name pipes', `--name ${name}`],
      ['-v /var/run/docker.sock:', `-v ${socket}:`],
      ["ALLOW='alice/*'", `ALLOW='${alice.user}/*,${bob.user}/*' -e REGISTRY=${lab.openRegistry}`],
      ['-p 80:80 pipes', `-p 127.0.0.1:${port}:80 ${image}`],
    ]);
    mkdirSync(configs, { recursive: true });
    started.add(name);
    await promisify(execFile)('sh', ['-c', mine], { cwd: join(configs, '..'), env: engineEnvironment() });
    await serving(port);
  }

  it('prints an admin token that works, once', async () => {
    const token = /Admin token, shown this once: (pipes_\S+)/.exec(firstLog)?.[1];
    const answer = await request(port, { host: 'localhost', path: '/containers', ...(token === undefined ? {} : { token }) });
    expect(answer.status).toBe(200);
  });

  it('is healthy, by the check that the image brings', async () => {
    const check = JSON.parse(await docker('image', 'inspect', '--format', '{{json .Config.Healthcheck.Test}}', image)) as string[];
    expect(check[0]).toBe('CMD');
    await docker('exec', name, ...check.slice(1));
    expect((await request(port, { host: 'localhost', path: '/health' })).json()).toEqual({ status: 'ok', reasons: [] });
    await expect(docker('exec', '--env', 'PORT=81', name, ...check.slice(1))).rejects.toThrow();
  });

  it('pulls, starts and serves what is allowed, in a network of its user that pipes joins', async () => {
    expect((await visit(ran)).text).toBe(greeting(ran));
    expect((await visit(sister)).text).toBe(greeting(sister));
    expect((await visit(stranger)).text).toBe(greeting(stranger));
    for (const [app, { user }] of [[ran, alice], [sister, alice], [stranger, bob]] as const) {
      expect(Object.keys((await containers.only(app.reference)).NetworkSettings.Networks)).toEqual([`pipes-apps-${user}`]);
    }
    const joined = Object.keys((await containers.inspect(name)).NetworkSettings.Networks);
    expect(joined).toEqual(expect.arrayContaining([`pipes-apps-${alice.user}`, `pipes-apps-${bob.user}`]));
  });

  it('refuses what is not allowed', async () => {
    const answer = await request(port, { host: 'main.web.carol.localhost' });
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'image_forbidden' });
  });

  it("keeps another user's container out of reach of a container", async () => {
    const mine = await containers.only(ran.reference);
    // The same look at a container of the same user, and at itself, finds something: so finding nothing means something.
    for (const near of [ran, sister]) expect(await reach(mine.Id, near)).toBe(greeting(near));
    expect(await reach(mine.Id, stranger)).toBe('nothing');
  });

  it('takes over what runs, when it was killed and is started again', async () => {
    const before = await whoami(ran);
    await docker('kill', name);
    expect((await containers.only(ran.reference)).State.Running).toBe(true);
    await docker('start', name);
    await serving(port);
    expect(await whoami(ran)).toEqual(before);
  });

  it('takes over what runs, as a new container on the same CONFIG_DIR; no second token', async () => {
    const before = [await whoami(ran), await whoami(stranger)];
    await docker('stop', '--time', '40', name);
    expect((await containers.inspect(name)).State.ExitCode).toBe(0);
    await docker('rm', name);
    await start();
    expect([await whoami(ran), await whoami(stranger)]).toEqual(before);
    expect(await docker('logs', name)).not.toContain('Admin token');
  });

  it('is not root, but in the group of the socket, and writes nothing but /configs and /tmp', async () => {
    expect(await identity(name)).toEqual({ uids: [65532], gids: [65532], groups: [65532, statSync(socket).gid].sort((a, b) => a - b), capabilities: 0 });
    await expect(docker('exec', name, 'touch', '/pipes/made')).rejects.toMatchObject({ stderr: expect.stringContaining('Read-only file system') as string });
    expect(await docker('logs', name)).not.toContain('serving as root');
    for (const path of ['.', ...readdirSync(configs)]) expect([path, statSync(join(configs, path)).uid]).toEqual([path, 65532]);
  });

  it('takes over a folder that one which ran as root has left, without a new token', async () => {
    await docker('stop', '--time', '40', name);
    await docker('rm', name);
    mkdirSync(join(configs, 'more'));
    writeFileSync(join(configs, 'more', 'notes'), '', { mode: 0o600 });
    for (const path of ['.', ...readdirSync(configs, { recursive: true, encoding: 'utf8' })]) chownSync(join(configs, path), 0, 0);
    // Whoever owns the folder could put this there, to be given what lies elsewhere in the container: the socket of the machine, for one.
    symlinkSync('/run', join(configs, 'elsewhere'));
    await start();
    expect((await identity(name)).uids).toEqual([65532]);
    expect(await docker('logs', name)).not.toContain('Admin token');
    expect(statSync(socket).uid).toBe(0);
    for (const path of ['pipes.json', 'more', 'more/notes']) expect([path, statSync(join(configs, path)).uid]).toEqual([path, 65532]);
    // Cold: what runs already would be served by anybody.
    for (const id of await containers.of(sister.reference)) await containers.remove(id);
    expect((await visit(sister)).text).toBe(greeting(sister));
  });

  it('stays root where it could not read what it is given, says so, and serves', async () => {
    const logins = join(directory, 'logins');
    mkdirSync(logins, { mode: 0o700 });
    const left = `pipes-root-${suffix}`;
    started.add(left);
    await docker('run', '--detach', '--name', left, '--volume', `${socket}:/var/run/docker.sock`, '--volume', `${logins}:/root/.docker:ro`, '--env', 'ALLOW=alice/*', '--publish', '127.0.0.1::80', image);
    await serving(Number(/:(\d+)$/m.exec((await docker('port', left, '80')).trim())![1]));
    expect(await docker('logs', left)).toContain('serving as root: /root/.docker/config.json can be read by root alone');
    expect((await identity(left)).uids).toEqual([0]);
    await docker('rm', '--force', '--volumes', left);
  });

  it('a second one on the same CONFIG_DIR ends with one line', async () => {
    const second = await docker('run', '--rm', '--volume', `${socket}:/var/run/docker.sock`, '--volume', `${configs}:/configs`, image).catch((error: unknown) => error as { code: number; stderr: string });
    expect(second).toMatchObject({ code: 1, stderr: expect.stringMatching(/^pipes: CONFIG_DIR \/configs is in use by process 1 on [0-9a-f]{12};[^\n]*\n$/) as string });
  });

  /** What is the same as long as it is the same process in the same container. */
  async function whoami(app: App): Promise<object> {
    const { hostname, startedAt } = (await request(port, { host: app.host, path: '/whoami' })).json();
    return { hostname, startedAt };
  }

  /** What a program in the container gets from another container's own address. */
  async function reach(from: string, app: App): Promise<string> {
    const address = await containers.address((await containers.only(app.reference)).Id);
    const script = `fetch('http://${address}/', { signal: AbortSignal.timeout(2000) }).then(async (answer) => process.stdout.write(await answer.text()), () => process.stdout.write('nothing'))`;
    return (await containers.exec(from, ['/usr/bin/node', '-e', script])).output.replaceAll('\r', '');
  }
});

describe('docker-compose.yml', () => {
  const file = join(project, 'docker-compose.yml');
  const service = readCompose(file).services['pipes']!;

  it('builds the image, and asks for ALLOW', () => {
    expect(service).toMatchObject({ build: '.', image: 'pipes', restart: 'unless-stopped', read_only: 'true', tmpfs: ['/tmp'], security_opt: ['no-new-privileges:true'] });
    expect(service.environment['ALLOW']).toMatch(/^\$\{ALLOW:\?/);
    expect(Number(/^(\d+)s$/.exec(service.stop_grace_period)?.[1])).toBeGreaterThan(30);
  });

  it('runs pipes, which serves and stops in time', async () => {
    const port = await freePort();
    const name = `pipes-compose-${suffix}`;
    const hasCompose = await docker('compose', 'version').then(() => true, () => false);
    if (hasCompose) {
      const take = (env: NodeJS.ProcessEnv) => promisify(execFile)('docker', ['compose', '--file', file, 'config', '--quiet'], { cwd: directory, env });
      await take({ ...engineEnvironment(), ALLOW: 'alice/*' });
      await expect(take(engineEnvironment())).rejects.toThrow(/ALLOW/);
    } else {
      console.log('docker-compose.yml is read by the lab itself and run by docker run: this machine has no docker compose');
    }
    const mine = (text: string): string => text.replace('/var/run/docker.sock:', `${socket}:`).replace(/^\.\//, `${directory}/compose-`).replace(/^80:/, `127.0.0.1:${port}:`).replace(/^\$\{ALLOW:.*\}$/, `${alice.user}/*`);
    // A folder that is a user's own stays theirs: pipes goes on as that user.
    mkdirSync(join(directory, 'compose-configs'));
    chownSync(join(directory, 'compose-configs'), 4242, 4243);
    started.add(name);
    await docker(
      ...['run', '--detach', '--name', name, ...(service.read_only === 'true' ? ['--read-only'] : []), ...service.tmpfs.flatMap((each) => ['--tmpfs', each]), ...service.security_opt.flatMap((each) => ['--security-opt', each]), '--restart', service.restart, '--stop-timeout', service.stop_grace_period.replace('s', ''), '--env', `REGISTRY=${lab.openRegistry}`],
      ...service.ports.flatMap((each) => ['--publish', mine(each)]),
      ...service.volumes.flatMap((each) => ['--volume', mine(each)]),
      ...Object.entries(service.environment).flatMap(([key, value]) => ['--env', `${key}=${mine(value)}`]),
      image,
    );
    await serving(port);
    const app = await alice.build('composed');
    try {
      expect((await request(port, { host: app.host })).text).toBe(greeting(app));
      expect(await identity(name)).toMatchObject({ uids: [4242], gids: [4243], capabilities: 0 });
      await docker('stop', name);
      expect((await containers.inspect(name)).State.ExitCode).toBe(0);
    } finally {
      for (const id of await containers.of(app.reference)) await containers.remove(id);
    }
  });
});

/** As whom the first process of a container runs, as the kernel has it. */
async function identity(name: string): Promise<{ uids: number[]; gids: number[]; groups: number[]; capabilities: number }> {
  const status = await docker('exec', name, 'cat', '/proc/1/status');
  const field = (key: string): string => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)![1]!.trim();
  const numbers = (key: string): number[] => [...new Set(field(key).split(/\s+/).map(Number))].sort((a, b) => a - b);
  return { uids: numbers('Uid'), gids: numbers('Gid'), groups: numbers('Groups'), capabilities: parseInt(field('CapEff'), 16) };
}

/** Both streams of a docker command that succeeds; one that fails rejects with `code` and `stderr`. */
async function docker(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('docker', args, { env: engineEnvironment(), maxBuffer: 64 * 1024 * 1024 });
  return args[0] === 'logs' ? stdout + stderr : stdout.trim() === '' ? stdout : `${stdout.trimEnd()}\n`;
}

function engineEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: directory, DOCKER_HOST: lab.dockerHost };
}

async function inside(script: string): Promise<string> {
  return await docker('run', '--rm', '--network', 'none', '--entrypoint', 'sh', image, '-c', script);
}

async function serving(port: number): Promise<void> {
  await until('pipes serves', async () => await request(port, { host: 'localhost', path: '/health', timeoutMs: 1_000 }).then(({ status }) => status === 200, () => false), 30_000);
}

/** Every part must be there, so that the page cannot drift away from what is tested. */
function replaced(text: string, pairs: readonly (readonly [string, string])[]): string {
  return pairs.reduce((result, [part, other]) => {
    if (!result.includes(part)) throw new Error(`the command in README.md has no "${part}"`);
    return result.replace(part, () => other);
  }, text);
}
