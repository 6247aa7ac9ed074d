import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DurableFile } from '../../../src/store/durable-file.ts';
import { temporaryDirectory } from './temporary-directory.ts';

async function makeFile(): Promise<{ directory: string; path: string; file: DurableFile }> {
  const directory = await temporaryDirectory();
  const path = join(directory, 'pipes.json');
  return { directory, path, file: new DurableFile(path) };
}

const documentAt = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));

describe('DurableFile', () => {
  it('is nothing before the first write, then what was written', async () => {
    const { file } = await makeFile();
    expect(await file.read()).toBeUndefined();
    await file.write({ n: 1, text: 'ü' });
    expect(await file.read()).toEqual({ n: 1, text: 'ü' });
  });

  it('keeps the last five documents beside it, and no other file', async () => {
    const { directory, path, file } = await makeFile();
    for (let n = 1; n <= 8; n++) await file.write({ n });
    expect((await readdir(directory)).sort()).toEqual(['pipes.json', ...[1, 2, 3, 4, 5].map((generation) => `pipes.json.${generation}`)]);
    expect(await documentAt(path)).toEqual({ n: 8 });
    for (const generation of [1, 2, 3, 4, 5]) expect(await documentAt(`${path}.${generation}`)).toEqual({ n: 8 - generation });
  });

  it('is readable by its owner alone, generations too', async () => {
    const { path, file } = await makeFile();
    await file.write({});
    await file.write({});
    for (const name of [path, `${path}.1`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
  });

  it('leaves file and generations as they were when the disk fails before the new name', async () => {
    const { directory, path, file } = await makeFile();
    await file.write({ n: 1 });
    await file.write({ n: 2 });
    await mkdir(`${path}.5`); // A directory in the way: renaming a file onto it fails, even for root.
    for (let n = 3; n <= 5; n++) await file.write({ n });
    await expect(file.write({ n: 6 })).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('pipes.json') as string });
    expect(await documentAt(path)).toEqual({ n: 5 });
    expect((await readdir(directory)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('takes a write back whose directory could not be synced', async () => {
    const { directory, path, file } = await makeFile();
    await file.write({ n: 1 });
    const failing = new DurableFile(path, () => Promise.reject(Object.assign(new Error('no'), { code: 'EIO' })));
    await expect(failing.write({ n: 2 })).rejects.toMatchObject({ code: 'internal' });
    expect(await documentAt(path)).toEqual({ n: 1 });
    const first = new DurableFile(join(directory, 'first.json'), () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOSPC' })));
    await expect(first.write({ n: 1 })).rejects.toMatchObject({ code: 'disk_full' });
    expect((await readdir(directory)).filter((name) => name.startsWith('first'))).toEqual([]);
  });

  it.each([
    ['empty', '', /is empty/],
    ['half a document', '{"a": 1', /not JSON/],
    ['no text', Buffer.from([0x22, 0xff, 0x22]), /not JSON/],
  ])('refuses a file that is %s in one line, and leaves it', async (_what, content, message) => {
    const { path, file } = await makeFile();
    await writeFile(path, content);
    const error = await file.read().then(() => undefined, (thrown: unknown) => thrown as Error);
    expect(error!.message).toMatch(message);
    expect(error!.message).toContain(path);
    expect(error!.message).toContain('pipes.json.1 to .5');
    expect(error!.message).not.toContain('\n');
    expect(await readFile(path)).toEqual(Buffer.from(content));
  });

  it('refuses what cannot be opened as a file', async () => {
    const { path, file } = await makeFile();
    await mkdir(path);
    await expect(file.read()).rejects.toThrow(/cannot be opened \(EISDIR\)/);
  });

  it('does not take a lost file for a first start', async () => {
    const { path, file } = await makeFile();
    await writeFile(`${path}.3`, '{}');
    await expect(file.read()).rejects.toThrow(/it is missing while pipes\.json\.3 is there/);
  });

  it('removes what a crash left, and nothing else', async () => {
    const { directory, file } = await makeFile();
    const others = ['pipes.json.1', 'pipes.json.bak', 'pipes.json.tmp', 'other.json.12-aaaaaaaaaaaa.tmp'];
    for (const name of ['pipes.json.12-0123456789ab.tmp', 'pipes.json.12-0123456789ab.previous.tmp', ...others]) await writeFile(join(directory, name), '');
    await file.removeLeftovers();
    expect((await readdir(directory)).sort()).toEqual(others.sort());
  });
});
