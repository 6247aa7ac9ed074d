import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PipesFile } from '../../../src/store/pipes-file.ts';
import { SmallDisk } from '../../lab/small-disk.ts';
import { CompiledWriter } from './writer-process.ts';

const WEB = 'alice/web:main';
const whyNot = SmallDisk.obstacle();
const disks: SmallDisk[] = [];
let disk: SmallDisk;

function mounted(options: string): SmallDisk {
  disk = new SmallDisk(options);
  disks.push(disk);
  return disk;
}
afterEach(() => disks.splice(0).forEach((each) => each.remove()));

const content = () => readFile(join(disk.path, 'pipes.json'), 'utf8');
const names = async (): Promise<string[]> => (await readdir(disk.path)).filter((name) => name.startsWith('pipes.json')).sort();

async function started(): Promise<PipesFile> {
  const store = new PipesFile(disk.path);
  await store.start();
  return store;
}

/** It starts anew on what is there, knows this, and takes writes. */
async function expectWhole(env: Record<string, string>): Promise<void> {
  const store = await started();
  expect(store.container(WEB)).toEqual({ env });
  await store.setContainer('alice/other:main', { port: 81 });
  await store.stop();
}

describe.skipIf(whyNot !== undefined)('a disk without room', () => {
  it.each([
    { what: 'bytes', options: 'size=256k', fill: () => disk.fill() },
    { what: 'inodes', options: 'size=1m,nr_inodes=24', fill: () => disk.fillInodes() },
  ])('($what) refuses the write with disk_full, keeps what was, and goes on when there is room again', async ({ options, fill }) => {
    mounted(options);
    const store = await started();
    await store.setContainer(WEB, { port: 80 });
    const before = [await content(), await names()];
    fill();

    const env = { LARGE: 'x'.repeat(20_000) };
    for (let attempt = 0; attempt < 7; attempt += 1) {
      await expect(store.setContainer(WEB, { env })).rejects.toMatchObject({ code: 'disk_full', status: 507, message: expect.stringContaining(`pipes.json in CONFIG_DIR (${disk.path})`) as string });
    }
    expect(store.container(WEB)).toEqual({ port: 80 });
    expect([await content(), await names()]).toEqual(before);

    disk.empty();
    await store.setContainer(WEB, { env });
    await store.stop();
    await expectWhole(env);
  });

  it('(bytes) is started on as on any other', async () => {
    mounted('size=256k');
    const store = await started();
    await store.setContainer(WEB, { env: { A: '1' } });
    await store.stop();
    disk.fill();
    const next = await started();
    expect(next.container(WEB)).toEqual({ env: { A: '1' } });
    // What fits into the room that is left on the last page of the file may be written; what does not is refused.
    await expect(next.setContainer(WEB, { env: { LARGE: 'x'.repeat(20_000) } })).rejects.toMatchObject({ code: 'disk_full' });
    await next.stop();
    disk.empty();
    await expectWhole({ A: '1' });
  });

  it('stops a start that needs some with one line that names it', async () => {
    mounted('size=256k,nr_inodes=24');
    disk.fill();
    await expect(started()).rejects.toMatchObject({ code: 'disk_full', message: expect.stringContaining(disk.path) as string });
    expect(await names()).toEqual([]);
    disk.empty();
    disk.fillInodes();
    await expect(started()).rejects.toMatchObject({ code: 'disk_full', message: `The disk of CONFIG_DIR ${disk.path} is full, or has no inode left for a lock; make some room and start again.` });
    disk.empty();
    await (await started()).stop();
  });
});

describe.skipIf(whyNot !== undefined)('a read-only disk', () => {
  it('refuses writes and starts by name, and keeps what was', async () => {
    mounted('size=256k');
    const store = await started();
    await store.setContainer(WEB, { env: { A: '1' } });
    disk.remount('ro');
    await expect(store.setContainer(WEB, { port: 81 })).rejects.toMatchObject({ code: 'internal', message: `pipes.json in CONFIG_DIR (${disk.path}) cannot be written (EROFS); what it held before stands.` });
    expect(store.container(WEB)).toEqual({ env: { A: '1' } });
    await store.stop();
    await expect(started()).rejects.toThrow(`CONFIG_DIR ${disk.path} cannot be locked (EROFS). It must be writable`);
    disk.remount('rw');
    await expectWhole({ A: '1' });
  });
});

describe.skipIf(whyNot !== undefined)('kill -9 on a disk that runs full', () => {
  let writer: CompiledWriter;
  beforeAll(() => {
    writer = new CompiledWriter();
  });
  afterAll(async () => writer.remove());

  it.each([
    // The file with three times 20 kB of padding, five generations and the one being written.
    { what: 'bytes', options: 'size=640k', fill: () => disk.fill() },
    { what: 'inodes', options: 'size=2m,nr_inodes=20', fill: () => disk.fillInodes() },
  ])('($what) loses no acknowledged write, and the next start works on the full disk', async ({ options, fill }) => {
    mounted(options);
    const expected = new Map<string, number>();
    for (let round = 0; round < 12; round += 1) {
      const running = writer.start(disk.path, round * 1_000_000);
      expect(await running.refusal()).toBeUndefined();
      await running.acknowledges(1 + (round % 4));
      fill();
      // Also in the middle of writes that fail.
      for (let turn = 0; turn < round * 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await running.kill();
      for (const [key, number] of running.acknowledged) expected.set(key, number);
      // What the kill left free is taken, too.
      fill();

      const store = await started();
      for (const [key, number] of expected) expect(Number(store.container(`alice/web:t${key}`)?.env?.['NUMBER'])).toBeGreaterThanOrEqual(number);
      await store.stop();
      disk.empty();
    }
    expect(expected.size).toBe(3);
    expect((await readdir(disk.path)).filter((name) => name !== 'ballast' && !/^pipes\.json(?:\.[1-5])?$/.test(name))).toEqual([]);
  }, 120_000);
});
