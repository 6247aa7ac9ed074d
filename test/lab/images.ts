import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { engineHttp, type EngineAnswer } from './engine-http.ts';
import type { RegistryLogin } from './registry.ts';

/** What an image of a test is made of; everything in it changes the image's digest. */
export interface ImageRecipe {
  /**
   * `mimic`: node and mimic/, told by environment what to do (100 MB, one layer shared by all). `tiny`: static busybox (2 MB) with a shell;
   * its command serves `/` (the text of `VERSION`) with busybox httpd on port 80. `empty`: no file and no command.
   */
  readonly from: 'mimic' | 'tiny' | 'empty';
  readonly env?: Readonly<Record<string, string>>;
  /** Ports as Dockerfiles name them. Default: 80. */
  readonly expose?: readonly string[];
  readonly command?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  /** Adds a layer of so many random bytes, for pulls that take their time. */
  readonly ballastBytes?: number;
  /** Executable files, by their absolute paths. */
  readonly programs?: Readonly<Record<string, string | Buffer>>;
}

/** Images for tests, made without network from files of this machine, on one engine. */
export class FixtureImages {
  readonly #dockerHost: string;

  constructor(dockerHost: string) {
    this.#dockerHost = dockerHost;
  }

  /** Makes an image and tags it `name` (`repository:tag`, with a registry's host where it will be pushed). Gives its id. */
  async build(name: string, recipe: ImageRecipe): Promise<string> {
    const base = recipe.from === 'empty' ? 'scratch' : await this.#base(recipe.from);
    const context = mkdtempSync(join(tmpdir(), 'pipes-image-'));
    try {
      if (recipe.ballastBytes !== undefined) await promisify(execFile)('dd', ['if=/dev/urandom', `of=${context}/ballast`, 'bs=65536', `count=${Math.ceil(recipe.ballastBytes / 65_536)}`]);
      for (const [path, content] of Object.entries(recipe.programs ?? {})) {
        mkdirSync(dirname(join(context, 'programs', path)), { recursive: true });
        writeFileSync(join(context, 'programs', path), content, { mode: 0o755 });
      }
      writeFileSync(join(context, 'Dockerfile'), dockerfile(base, recipe));
      return await this.#buildDirectory(name, context);
    } finally {
      rmSync(context, { recursive: true, force: true });
    }
  }

  /** Pushes it to the registry that its name begins with. Gives the manifest's digest. */
  async push(name: string, login?: RegistryLogin): Promise<string> {
    const { repository, tag } = split(name);
    const auth = Buffer.from(JSON.stringify(login ?? {})).toString('base64');
    const answer = await this.#call('POST', `/images/${repository}/push?tag=${tag}`, undefined, { 'x-registry-auth': auth });
    const events = answer.text().trim().split('\n').map((line) => JSON.parse(line) as { error?: string; aux?: { Digest?: string } });
    const error = events.find((event) => event.error !== undefined)?.error;
    if (error !== undefined) throw new Error(`pushing ${name}: ${error}`);
    const digest = events.find((event) => event.aux?.Digest !== undefined)?.aux?.Digest;
    if (digest === undefined) throw new Error(`pushing ${name}: the engine told no digest`);
    return digest;
  }

  /** Makes it, pushes it, and takes it off the engine again, so that it must be pulled. Gives the manifest's digest. */
  async publish(name: string, recipe: ImageRecipe, login?: RegistryLogin): Promise<string> {
    await this.build(name, recipe);
    const digest = await this.push(name, login);
    await this.remove(name);
    return digest;
  }

  async tag(name: string, newName: string): Promise<void> {
    const { repository, tag } = split(newName);
    await this.#call('POST', `/images/${name}/tag?repo=${encodeURIComponent(repository)}&tag=${tag}`);
  }

  /** Of the image on the engine; undefined when it has none of that name. */
  async id(name: string): Promise<string | undefined> {
    const answer = await engineHttp(this.#dockerHost, `/images/${name}/json`);
    return answer.status === 200 ? (answer.json() as { Id: string }).Id : undefined;
  }

  /** Takes the name (and the image, with its last name) off the engine; one that is not there is fine. */
  async remove(name: string): Promise<void> {
    await engineHttp(this.#dockerHost, `/images/${name}?force=true`, { method: 'DELETE' });
  }

  /** Removes each container and image whose image name begins with one of these registries. */
  async removeAllFrom(registries: readonly string[]): Promise<void> {
    const ours = (name: string) => registries.some((registry) => name.startsWith(`${registry}/`));
    const containers = (await this.#call('GET', '/containers/json?all=true')).json() as { Id: string; Image: string }[];
    for (const { Id, Image } of containers) if (ours(Image)) await engineHttp(this.#dockerHost, `/containers/${Id}?force=true&v=true`, { method: 'DELETE' });
    const images = (await this.#call('GET', '/images/json')).json() as { RepoTags: string[] | null; RepoDigests: string[] | null }[];
    for (const { RepoTags, RepoDigests } of images) for (const name of [...(RepoTags ?? []), ...(RepoDigests ?? [])]) if (ours(name)) await this.remove(name);
  }

  /** The base stays on the engine for the next test and, on a shared one, the next run: its name tells what is in it. */
  async #base(from: 'mimic' | 'tiny'): Promise<string> {
    const made = from === 'mimic' ? await this.#nodeBase() : await this.#busyboxBase();
    if (from === 'tiny') return made;
    const directory = fileURLToPath(new URL('./mimic/', import.meta.url));
    const files = readdirSync(directory);
    const hash = createHash('sha256').update(made);
    for (const file of files) hash.update(file).update(readFileSync(join(directory, file)));
    const name = `pipes-lab/mimic:${hash.digest('hex').slice(0, 12)}`;
    if ((await this.id(name)) !== undefined) return name;
    const context = mkdtempSync(join(tmpdir(), 'pipes-image-'));
    try {
      mkdirSync(join(context, 'mimic'));
      for (const file of files) copyFileSync(join(directory, file), join(context, 'mimic', file));
      writeFileSync(join(context, 'Dockerfile'), `FROM ${made}\nCOPY mimic /mimic\nCMD ["/usr/bin/node", "/mimic/mimic.mjs"]\n`);
      await this.#buildDirectory(name, context);
    } finally {
      rmSync(context, { recursive: true, force: true });
    }
    return name;
  }

  async #nodeBase(): Promise<string> {
    const name = `pipes-lab/node:${process.version}-${process.arch}`;
    return await this.#imported(name, async (root) => {
      copyInto(root, process.execPath, '/usr/bin/node');
      const { stdout } = await promisify(execFile)('ldd', [process.execPath]);
      for (const [, path] of stdout.matchAll(/(\/\S+)\s+\(0x/g)) copyInto(root, path!, path!);
      mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
    });
  }

  async #busyboxBase(): Promise<string> {
    return await this.#imported('pipes-lab/tiny:1', (root) => {
      copyInto(root, '/bin/busybox', '/bin/busybox');
      for (const tool of ['sh', 'httpd', 'sleep', 'echo', 'cat', 'nc', 'wget', 'printenv']) symlinkSync('busybox', join(root, 'bin', tool));
      mkdirSync(join(root, 'www'));
      mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
    });
  }

  /** The image of a root directory that `fill` makes; its tar is kept per machine, since each private engine begins with nothing. */
  async #imported(name: string, fill: (root: string) => void | Promise<void>): Promise<string> {
    if ((await this.id(name)) !== undefined) return name;
    const cache = join(tmpdir(), `pipes-lab-cache-${process.getuid?.() ?? 0}`);
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    const tar = join(cache, `${name.replaceAll(/[^\w.-]/g, '_')}.tar`);
    if (!existsSync(tar)) {
      const root = mkdtempSync(join(cache, 'root-'));
      await fill(root);
      await promisify(execFile)('tar', ['-C', root, '--owner=0', '--group=0', '--numeric-owner', '-cf', `${root}.tar`, '.']);
      renameSync(`${root}.tar`, tar);
      rmSync(root, { recursive: true, force: true });
    }
    const { repository, tag } = split(name);
    const answer = await this.#call('POST', `/images/create?fromSrc=-&repo=${encodeURIComponent(repository)}&tag=${tag}`, createReadStream(tar));
    const failed = answer.text().includes('"error"');
    if (failed) throw new Error(`importing ${name}: ${answer.text()}`);
    return name;
  }

  async #buildDirectory(name: string, context: string): Promise<string> {
    const { stdout } = await promisify(execFile)('tar', ['-C', context, '-c', '.'], { encoding: 'buffer', maxBuffer: 1024 ** 3 });
    const answer = await this.#call('POST', `/build?t=${encodeURIComponent(name)}&rm=true&forcerm=true`, stdout);
    const error = answer.text().split('\n').find((line) => line.includes('"error"'));
    if (error !== undefined) throw new Error(`building ${name}: ${error}`);
    const id = await this.id(name);
    if (id === undefined) throw new Error(`building ${name}: no image came of it`);
    return id;
  }

  async #call(method: 'GET' | 'POST', path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<EngineAnswer> {
    const answer = await engineHttp(this.#dockerHost, path, { method, headers, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.text().trim()}`);
    return answer;
  }
}

function dockerfile(base: string, recipe: ImageRecipe): string {
  const lines = [`FROM ${base}`];
  if (recipe.ballastBytes !== undefined) lines.push('COPY ballast /ballast');
  if (recipe.programs !== undefined) lines.push('COPY programs /');
  for (const [name, value] of Object.entries(recipe.labels ?? {})) lines.push(`LABEL ${name}=${JSON.stringify(value)}`);
  for (const [name, value] of Object.entries(recipe.env ?? {})) lines.push(`ENV ${name}=${JSON.stringify(value)}`);
  for (const port of recipe.expose ?? ['80']) lines.push(`EXPOSE ${port}`);
  for (const path of recipe.volumes ?? []) lines.push(`VOLUME ${JSON.stringify([path])}`);
  if (recipe.workdir !== undefined) lines.push(`WORKDIR ${recipe.workdir}`);
  if (recipe.user !== undefined) lines.push(`USER ${recipe.user}`);
  const tinys = ['/bin/sh', '-c', 'echo "${VERSION:-tiny}" > /www/index.html; exec httpd -f -p 80 -h /www'];
  const command = recipe.command ?? (recipe.from === 'tiny' ? tinys : undefined);
  if (command !== undefined) lines.push(`CMD ${JSON.stringify(command)}`);
  // An image from scratch needs one layer, or one line of metadata, to be an image at all.
  if (lines.length === 1 || recipe.from === 'empty') lines.push(`LABEL pipes.lab=${recipe.from}`);
  return `${lines.join('\n')}\n`;
}

function copyInto(root: string, source: string, path: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  copyFileSync(source, join(root, path));
}

function split(name: string): { repository: string; tag: string } {
  const colon = name.lastIndexOf(':');
  if (colon <= name.lastIndexOf('/')) return { repository: name, tag: 'latest' };
  return { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}
