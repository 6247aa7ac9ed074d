import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PipesFile } from '../../../src/store/pipes-file.ts';
import { CompiledWriter } from './writer-process.ts';

const KILLS = 40;
let writer: CompiledWriter;
let directory: string;

beforeAll(async () => {
  writer = new CompiledWriter();
  directory = await mkdtemp(join(tmpdir(), 'pipes-kill-'));
});
afterAll(async () => {
  await writer.remove();
  await rm(directory, { recursive: true, force: true });
});

describe('kill -9 while it writes', () => {
  it(`loses no acknowledged write in ${KILLS} kills, and leaves a readable file each time`, async () => {
    const expected = new Map<string, number>();
    let owner: string | undefined;
    let acknowledged = 0;
    let interrupted = 0;
    for (let round = 0; round < KILLS; round++) {
      const running = writer.start(directory, round * 1_000_000);
      expect(await running.refusal()).toBeUndefined();
      // Killed right after an acknowledgement the next write is under way; how far differs from round to round.
      await running.acknowledges(1 + (round % 12));
      for (let turn = 0; turn < round % 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      await running.kill();
      for (const [key, number] of running.acknowledged) expected.set(key, number);
      acknowledged += running.acknowledged.size;

      if ((await readdir(directory)).some((name) => name.endsWith('.tmp'))) interrupted++;
      const names = (await readdir(directory)).filter((name) => /^pipes\.json(?:\.\d)?$/.test(name));
      await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as unknown));

      const store = new PipesFile(directory);
      await store.start();
      owner ??= store.owner;
      expect(store.owner).toBe(owner);
      for (const [key, number] of expected) {
        // A write that was under way may have arrived without its acknowledgement; an earlier one may not have vanished.
        expect(Number(store.container(`alice/web:t${key}`)?.env?.['NUMBER'])).toBeGreaterThanOrEqual(number);
      }
      await store.stop();
    }
    expect(acknowledged).toBeGreaterThanOrEqual(KILLS);
    // Nearly every kill falls into a write; were it none, this test would show nothing.
    expect(interrupted).toBeGreaterThan(0);
    // Nothing that the kills left piles up: the file, five generations, and no socket or temporary file.
    expect((await readdir(directory)).filter((name) => !/^pipes\.json(?:\.[1-5])?$/.test(name))).toEqual([]);
  }, 120_000);

  it('gives the directory to exactly one process, and free with its death', async () => {
    const first = writer.start(directory, 0);
    expect(await first.refusal()).toBeUndefined();
    const second = writer.start(directory, 0);
    expect(await second.refusal()).toMatch(/CONFIG_DIR .* is in use by process \d+ on /);
    await second.kill();
    await first.kill();
    // Several at once find the same dead socket: one gets it.
    const heirs = [1, 2, 3].map(() => writer.start(directory, 0));
    const refusals = await Promise.all(heirs.map((heir) => heir.refusal()));
    expect(refusals.filter((refusal) => refusal === undefined)).toHaveLength(1);
    await Promise.all(heirs.map((heir) => heir.kill()));
  }, 60_000);
});
