import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigDirLock } from '../../../src/store/config-dir-lock.ts';
import { temporaryDirectory } from './temporary-directory.ts';

describe('ConfigDirLock', () => {
  it('is held by one, who is named to the next, and free after release', async () => {
    const directory = await temporaryDirectory();
    const [one, two] = [new ConfigDirLock(directory), new ConfigDirLock(directory)];
    await one.take();
    await expect(two.take()).rejects.toThrow(`in use by process ${process.pid} on `);
    await one.release();
    await two.take();
    await two.release();
    expect(await readdir(directory)).toEqual([]);
  });

  it('goes to exactly one of many that come at once', async () => {
    const directory = await temporaryDirectory();
    const locks = Array.from({ length: 8 }, () => new ConfigDirLock(directory));
    const ends = await Promise.allSettled(locks.map((lock) => lock.take()));
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await Promise.all(locks.map((lock) => lock.release()));
  });

  it('works at a path longer than a socket address', async () => {
    const directory = join(await temporaryDirectory(), 'd'.repeat(200));
    await mkdir(directory);
    const [one, two] = [new ConfigDirLock(directory), new ConfigDirLock(directory)];
    await one.take();
    await expect(two.take()).rejects.toThrow(/in use/);
    await one.release();
  });

  it('says in one line why a directory cannot be locked', async () => {
    const directory = join(await temporaryDirectory(), 'nowhere');
    await expect(new ConfigDirLock(directory).take()).rejects.toThrow(/CONFIG_DIR .*nowhere cannot be locked \(ENOENT\)/);
  });

  it('is released any number of times', async () => {
    const lock = new ConfigDirLock(await temporaryDirectory());
    await lock.release();
    await lock.take();
    await lock.release();
    await lock.release();
  });
});
