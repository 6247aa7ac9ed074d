import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import { DurableFile } from '../../../src/store/durable-file.ts';
import { STATE_VERSION } from '../../../src/store/migrations.ts';
import { PipesFile } from '../../../src/store/pipes-file.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const WEB = 'alice/web:main';

async function opened(directory: string, file?: DurableFile): Promise<PipesFile> {
  const store = new PipesFile(directory, file);
  await store.start();
  onTestFinished(() => store.stop());
  return store;
}

/** Counts writes, holds them back, and fails them on demand. */
class WatchedFile extends DurableFile {
  writes = 0;
  failure: Error | undefined;
  held: Promise<void> | undefined;
  override async write(document: unknown): Promise<void> {
    this.writes++;
    await this.held;
    if (this.failure) throw this.failure;
    await super.write(document);
  }
}

describe('PipesFile', () => {
  it('makes its directory and an owner at the first start, and keeps both', async () => {
    const directory = join(await temporaryDirectory(), 'deep', 'configs');
    const first = await opened(directory);
    const { owner } = first;
    expect(owner).toMatch(/^[0-9a-f]{16}$/);
    await first.stop();
    expect((await opened(directory)).owner).toBe(owner);
    expect((await opened(await temporaryDirectory())).owner).not.toBe(owner);
  });

  it.each(['null', '0', 'false', '""', '{"__proto__":{}}'])('refuses a file that holds %s, and leaves it as it is', async (text) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'pipes.json'), text);
    await expect(new PipesFile(directory).start()).rejects.toMatchObject({ name: 'PipesError', message: expect.stringContaining('cannot be used') as string });
    expect(await readFile(join(directory, 'pipes.json'), 'utf8')).toBe(text);
    expect(await readdir(directory)).toEqual(['pipes.json']);
  });

  it('refuses configurations of what no host can name', async () => {
    const directory = await temporaryDirectory();
    await (await opened(directory)).stop();
    const path = join(directory, 'pipes.json');
    const state = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...state, containers: { constructor: {} } }));
    await expect(new PipesFile(directory).start()).rejects.toThrow('constructor');
  });

  it('keeps configurations and tokens over a restart', async () => {
    const directory = await temporaryDirectory();
    const token = { name: 'ci', sha256: 'a'.repeat(64), scopes: ['deploy:alice'], createdAt: '2030-01-01T00:00:00.000Z' };
    const first = await opened(directory);
    await Promise.all([first.setContainer(WEB, { port: 80, env: { A: 'b' } }), first.setRepository('alice/web', { cpus: 2 }), first.putToken(token)]);
    await first.stop();
    const second = await opened(directory);
    expect(second.container(WEB)).toEqual({ port: 80, env: { A: 'b' } });
    expect(second.repository('alice/web')).toEqual({ cpus: 2 });
    expect(second.configuredReferences()).toEqual([WEB]);
    expect(second.tokens()).toEqual([token]);
  });

  it('keeps which images were pulled, brings a file of version 1 along, and writes nothing for a list that stays', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'pipes.json'), JSON.stringify({ version: 1, owner: '0123456789abcdef', containers: {}, repositories: {}, tokens: [] }));
    const file = new WatchedFile(join(directory, 'pipes.json'));
    const store = await opened(directory, file);
    expect([store.owner, store.pulledImages()]).toEqual(['0123456789abcdef', []]);
    const image = { name: 'docker.io/alice/web:main', id: 'sha256:a', pullMs: 12, lastUsedAtMs: 3 };
    await store.changePulledImages((images) => [...images, image]);
    await store.changePulledImages((images) => images);
    expect(file.writes).toBe(1);
    await store.stop();
    expect((await opened(directory)).pulledImages()).toEqual([image]);
  });

  it('keeps bound host names, from a file of version 2 on', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'pipes.json'), JSON.stringify({ version: 2, owner: '0123456789abcdef', containers: {}, repositories: {}, tokens: [], images: [] }));
    const store = await opened(directory);
    expect(store.domains()).toEqual({});
    await store.changeDomains((domains) => ({ ...domains, 'www.example.org': 'alice/web' }));
    await store.stop();
    expect((await opened(directory)).domains()).toEqual({ 'www.example.org': 'alice/web' });
  });

  it('a change that throws ends alone, though others went to the disk with it', async () => {
    const directory = await temporaryDirectory();
    const file = new WatchedFile(join(directory, 'pipes.json'));
    const store = await opened(directory, file);
    const bind = (name: string) => store.changeDomains((domains) => {
      if (Object.hasOwn(domains, name)) throw new PipesError('domain_taken', 'It is bound already.');
      return { ...domains, [name]: 'alice/web' };
    });
    const writesBefore = file.writes;
    const ends = await Promise.allSettled([bind('first.localhost'), bind('a.localhost'), bind('a.localhost'), bind('b.localhost')]);
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(Object.keys(store.domains()).sort()).toEqual(['a.localhost', 'b.localhost', 'first.localhost']);
    expect(file.writes - writesBefore).toBe(2);
    // What a failed disk did not take is free for the next.
    file.failure = new PipesError('disk_full', 'There is no space left.');
    expect((await Promise.allSettled([bind('c.localhost'), bind('c.localhost')])).map((end) => (end.status === 'rejected' ? (end.reason as PipesError).code : end.status))).toEqual(['disk_full', 'disk_full']);
    file.failure = undefined;
    await bind('c.localhost');
  });

  it('replaces a token of the same name, and tells whether there was one to remove', async () => {
    const store = await opened(await temporaryDirectory());
    const token = { name: 'ci', sha256: 'a'.repeat(64), scopes: ['admin'], createdAt: '2030-01-01T00:00:00.000Z' };
    await store.putToken(token);
    await store.putToken({ ...token, expiresAt: '2031-01-01T00:00:00.000Z' });
    expect(store.tokens()).toEqual([{ ...token, expiresAt: '2031-01-01T00:00:00.000Z' }]);
    expect(await Promise.all([store.removeToken('ci'), store.removeToken('ci')])).toEqual([true, false]);
    expect(store.tokens()).toEqual([]);
  });

  it('takes an empty configuration for none, and knows no names but those that were written', async () => {
    const store = await opened(await temporaryDirectory());
    await store.setContainer(WEB, { port: 80 });
    await store.setContainer(WEB, {});
    expect(store.container(WEB)).toBeUndefined();
    expect(store.configuredReferences()).toEqual([]);
    expect(store.container('constructor')).toBeUndefined();
  });

  it('is not changed by a caller that changes its own document afterwards', async () => {
    const store = await opened(await temporaryDirectory());
    const config = { env: { A: 'b' } };
    const written = store.setContainer(WEB, config);
    config.env.A = 'c';
    await written;
    expect(store.container(WEB)).toEqual({ env: { A: 'b' } });
  });

  it('shows a write when it is on the disk, and not before', async () => {
    const directory = await temporaryDirectory();
    const file = new WatchedFile(join(directory, 'pipes.json'));
    const store = await opened(directory, file);
    let release!: () => void;
    file.held = new Promise((resolve) => (release = resolve));
    const written = store.setContainer(WEB, { port: 80 });
    expect(store.container(WEB)).toBeUndefined();
    release();
    await written;
    expect(store.container(WEB)).toEqual({ port: 80 });
    expect(JSON.parse(await readFile(join(directory, 'pipes.json'), 'utf8'))).toMatchObject({ version: STATE_VERSION, containers: { [WEB]: { port: 80 } } });
  });

  it('writes what waits together', async () => {
    const directory = await temporaryDirectory();
    const file = new WatchedFile(join(directory, 'pipes.json'));
    const store = await opened(directory, file);
    file.writes = 0;
    await Promise.all(Array.from({ length: 200 }, (_, index) => store.setContainer(`alice/web:t${index}`, { port: index + 1 })));
    expect(file.writes).toBeLessThanOrEqual(2);
    expect(store.configuredReferences()).toHaveLength(200);
  });

  it('leaves memory and disk as they were when a write fails, and goes on after', async () => {
    const directory = await temporaryDirectory();
    const file = new WatchedFile(join(directory, 'pipes.json'));
    const store = await opened(directory, file);
    await store.setContainer(WEB, { port: 80 });
    const before = await readFile(join(directory, 'pipes.json'), 'utf8');
    file.failure = new PipesError('disk_full', 'full');
    const ends = await Promise.allSettled([store.setContainer(WEB, { port: 81 }), store.setRepository('alice/web', { cpus: 1 }), store.putToken({ name: 'x', sha256: 'a'.repeat(64), scopes: ['admin'], createdAt: '2030-01-01T00:00:00.000Z' })]);
    expect(ends.map((end) => end.status === 'rejected' && (end.reason as PipesError).code)).toEqual(['disk_full', 'disk_full', 'disk_full']);
    expect([store.container(WEB), store.repository('alice/web'), store.tokens()]).toEqual([{ port: 80 }, undefined, []]);
    expect(await readFile(join(directory, 'pipes.json'), 'utf8')).toBe(before);
    file.failure = undefined;
    await store.setContainer(WEB, { port: 82 });
    expect(store.container(WEB)).toEqual({ port: 82 });
  });

  it('finishes what was asked for before it stops, and refuses what comes after', async () => {
    const directory = await temporaryDirectory();
    const store = await opened(directory);
    const writes = Promise.all([1, 2, 3].map((port) => store.setContainer(`alice/web:t${port}`, { port })));
    await store.stop();
    await writes;
    await expect(store.setContainer(WEB, { port: 80 })).rejects.toMatchObject({ code: 'shutting_down' });
    expect((await opened(directory)).configuredReferences()).toHaveLength(3);
  });

  it.each([
    ['no JSON', '{', /not JSON/],
    ['a newer version', '{"version": 99}', /newer pipes/],
    ['a wrong shape', '{"version":1,"owner":"0123456789abcdef","containers":{"alice/web:main":{"prot":80}},"repositories":{},"tokens":[]}', /containers → alice\/web:main: .*prot/],
    ['an unknown key', '{"version":1,"owner":"0123456789abcdef","containers":{},"repositories":{},"tokens":[],"more":1}', /more/],
  ])('does not start on %s; the file stays, and the directory is free again', async (_what, content, message) => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'pipes.json');
    await writeFile(path, content);
    const error = await new PipesFile(directory).start().then(() => undefined, (thrown: unknown) => thrown as Error);
    expect(error!.message).toMatch(message);
    expect(error!.message).not.toContain('\n');
    expect(await readFile(path, 'utf8')).toBe(content);
    expect(await readdir(directory)).toEqual(['pipes.json']);
  });

  it('does not start on a directory that is in use', async () => {
    const directory = await temporaryDirectory();
    await opened(directory);
    await expect(new PipesFile(directory).start()).rejects.toThrow(`CONFIG_DIR ${directory} is in use by process ${process.pid} on `);
  });

  it('does not start where no directory can be', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'file'), '');
    await expect(new PipesFile(join(directory, 'file')).start()).rejects.toMatchObject({ message: expect.stringMatching(/CONFIG_DIR .*file cannot be made \(EEXIST\)/) as string });
  });
});
