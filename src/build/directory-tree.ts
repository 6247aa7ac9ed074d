import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LARGEST_TEXT_BYTES, type SourceTree } from './source-tree.ts';

/** A folder on this machine as a source. Links are not followed: what they lead to may lie outside. */
export class DirectoryTree implements SourceTree {
  readonly paths: readonly string[];
  readonly #directory: string;
  readonly #known: ReadonlySet<string>;

  private constructor(directory: string, paths: readonly string[]) {
    this.#directory = directory;
    this.paths = paths;
    this.#known = new Set(paths);
  }

  /** @throws what the file system throws, such as ENOENT and ENOTDIR */
  static async open(directory: string): Promise<DirectoryTree> {
    const paths: string[] = [];
    const walk = async (below: string): Promise<void> => {
      for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
        const path = below === '' ? entry.name : `${below}/${entry.name}`;
        if (entry.isDirectory() && !PASSED_OVER.has(entry.name)) await walk(path);
        else if (entry.isFile()) paths.push(path);
      }
    };
    await walk('');
    return new DirectoryTree(directory, paths.sort());
  }

  has(path: string): boolean {
    return this.#known.has(path);
  }

  async read(path: string): Promise<string | undefined> {
    if (!this.has(path)) return undefined;
    const file = join(this.#directory, path);
    return (await stat(file)).size > LARGEST_TEXT_BYTES ? undefined : await readFile(file, 'utf8');
  }
}

/** History and installed packages say nothing of how to build, and are most of the files. */
const PASSED_OVER: ReadonlySet<string> = new Set(['.git', 'node_modules']);
