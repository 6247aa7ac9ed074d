import { execFile } from 'node:child_process';
import { cpSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** What the Dockerfile of pipes stands on: to build with (Node and npm), and to run on. */
export interface ImageBases {
  readonly build: string;
  readonly runtime: string;
  /** Where they come from, in a few words. */
  readonly origin: string;
}

/**
 * The bases that the Dockerfile names, where the engine has them or can pull them. Else stand-ins of the machine's own release: a
 * Debian made by debootstrap and slimmed as the official one is, and the same with this machine's node and npm. They stay on the engine.
 */
export async function imageBases(docker: (...args: string[]) => Promise<string>, dockerfile: string): Promise<ImageBases> {
  const [build, runtime] = ['BASE', 'RUNTIME'].map((name) => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(dockerfile)![1]!) as [string, string];
  try {
    for (const name of [build, runtime]) await docker('image', 'inspect', name).catch(() => docker('pull', '--quiet', name));
    return { build, runtime, origin: 'as the Dockerfile names them' };
  } catch {
    const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
    const standIn = `pipes-lab/debian:${suite}`;
    await docker('image', 'inspect', standIn).catch(async () => docker('import', await debianTar(suite), standIn));
    return { build: await withNode(docker, standIn), runtime: standIn, origin: `made from ${suite}, for ${build} cannot be pulled` };
  }
}

/** Kept per machine, since each private engine begins with nothing. */
async function debianTar(suite: string): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error('no Docker Hub, and debootstrap needs root: the image of pipes cannot be built here');
  const cache = join(tmpdir(), 'pipes-lab-cache-0');
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const tar = join(cache, `debian_${suite}.tar`);
  if (existsSync(tar)) return tar;
  const root = mkdtempSync(join(cache, 'debian-'));
  try {
    await run('debootstrap', ['--variant=minbase', suite, root], { maxBuffer: 64 * 1024 * 1024 });
    const slim = ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale', 'var/cache/apt', 'var/lib/apt/lists'].map((path) => `--exclude=./${path}/*`);
    await run('tar', ['-C', root, '--exclude=./dev/*', ...slim, '-cf', `${root}.tar`, '.']);
    renameSync(`${root}.tar`, tar);
    return tar;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function withNode(docker: (...args: string[]) => Promise<string>, base: string): Promise<string> {
  const name = `pipes-lab/debian-node:${process.version}-${process.arch}`;
  const isThere = await docker('image', 'inspect', name).then(() => true, () => false);
  if (isThere) return name;
  const context = mkdtempSync(join(tmpdir(), 'pipes-image-'));
  try {
    const { stdout: registry } = await run('npm', ['config', 'get', 'registry']);
    copyFileSync(process.execPath, join(context, 'node'));
    cpSync(npmDirectory(), join(context, 'npm'), { recursive: true, dereference: true });
    // What this machine trusts; only the stage that builds sees it.
    writeFileSync(join(context, 'ca.crt'), existsSync(CERTIFICATES) ? readFileSync(CERTIFICATES) : '');
    writeFileSync(join(context, 'Dockerfile'), [
      `FROM ${base}`,
      'COPY node /usr/local/bin/node',
      'COPY npm /usr/local/lib/node_modules/npm',
      'COPY ca.crt /machine-ca.crt',
      'RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm',
      `ENV NODE_EXTRA_CA_CERTS=/machine-ca.crt npm_config_registry=${registry.trim()}`,
    ].join('\n'));
    await docker('build', '--quiet', '--tag', name, context);
    return name;
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** Of the npm in the PATH: its program is `npm/bin/npm-cli.js`, by way of a link. */
function npmDirectory(): string {
  const program = (process.env['PATH'] ?? '').split(':').map((directory) => join(directory, 'npm')).find((path) => existsSync(path));
  if (program === undefined) throw new Error('there is no npm in the PATH');
  return dirname(dirname(realpathSync(program)));
}
