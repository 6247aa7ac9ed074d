import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PipesFile } from '../../../src/store/pipes-file.ts';

const run = promisify(execFile);
const WEB = 'alice/web:main';
let directory: string;
let whyNot: string | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pipes-full-'));
  whyNot = await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory]).then(() => undefined, (error: unknown) => (error as Error).message.trim());
});
afterAll(async () => {
  if (whyNot === undefined) await run('umount', [directory]);
  await rm(directory, { recursive: true, force: true });
});

describe('a full disk', () => {
  it('refuses the write with disk_full, keeps what was, and goes on when there is room again', async (test) => {
    if (whyNot !== undefined) return test.skip(`a small file system cannot be mounted here: ${whyNot}`);
    const store = new PipesFile(directory);
    await store.start();
    await store.setContainer(WEB, { port: 80 });
    const before = await readFile(join(directory, 'pipes.json'), 'utf8');
    const generations = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name.startsWith('pipes.json')).sort();
    const namesBefore = await generations();
    await writeFile(join(directory, 'ballast'), Buffer.alloc(1024 * 1024)).catch((error: unknown) => expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC'));

    const env = { LARGE: 'x'.repeat(20_000) };
    for (let attempt = 0; attempt < 7; attempt++) await expect(store.setContainer(WEB, { env })).rejects.toMatchObject({ code: 'disk_full', status: 507 });
    expect(store.container(WEB)).toEqual({ port: 80 });
    expect(await readFile(join(directory, 'pipes.json'), 'utf8')).toBe(before);
    expect(await generations()).toEqual(namesBefore);

    await rm(join(directory, 'ballast'));
    await store.setContainer(WEB, { env });
    await store.stop();
    const next = new PipesFile(directory);
    await next.start();
    expect(next.container(WEB)).toEqual({ env });
    await next.stop();
  });
});
