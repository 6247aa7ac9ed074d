import { randomBytes } from 'node:crypto';
import { copyFile, link, open, readFile, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Adapter } from 'lowdb';
import { PipesError } from '../core/errors.ts';
import { withoutPrototype } from '../core/json-keys.ts';

/**
 * A JSON file that is always whole: whatever moment the process or the machine dies at, the file holds either the document
 * before a write or the one after it. The documents before stand beside it as `<file>.1` (the youngest) to `<file>.5`.
 *
 * Calls must not overlap; there is one writer.
 */
export class DurableFile implements Adapter<unknown> {
  readonly #path: string;
  readonly #syncDirectory: (directory: string) => Promise<void>;

  /** @param syncDirectory is given by tests alone, which cannot make a real disk fail at this step */
  constructor(path: string, syncDirectory: (directory: string) => Promise<void> = fsyncDirectory) {
    this.#path = path;
    this.#syncDirectory = syncDirectory;
  }

  /**
   * The document; undefined when there is no file, since null is a document too.
   * @throws PipesError `internal` with one line that says what is wrong; the file is left as it is
   */
  async read(): Promise<unknown> {
    const bytes = await readFile(this.#path).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw this.unreadable(`it cannot be opened (${codeOf(error)})`, error);
    });
    if (bytes === undefined) {
      await this.#assertFirst();
      return undefined;
    }
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), withoutPrototype);
    } catch (error) {
      if (error instanceof PipesError) throw this.unreadable(error.message, error);
      throw this.unreadable(bytes.length === 0 ? 'it is empty' : 'it is not JSON', error);
    }
  }

  /**
   * Resolves once the document is on the disk. When it rejects, the file is the one from before.
   * @throws PipesError `disk_full`, `internal`
   */
  async write(document: unknown): Promise<void> {
    const unique = `${this.#path}.${process.pid}-${randomBytes(6).toString('hex')}`;
    const fresh = `${unique}.tmp`;
    const previous = `${unique}.previous.tmp`;
    let hadPrevious = false;
    try {
      await writeSynced(fresh, `${JSON.stringify(document, null, 2)}\n`);
      // The name for the old document is made before any generation moves: on a full disk nothing has moved then.
      hadPrevious = await nameAgain(this.#path, previous);
      if (hadPrevious) await this.#shiftGenerations(previous);
      await rename(fresh, this.#path);
    } catch (error) {
      await Promise.allSettled([unlink(fresh), unlink(previous)]);
      throw this.#writeFailed(error);
    }
    try {
      await this.#syncDirectory(dirname(this.#path));
    } catch (error) {
      await this.#takeBack(previous, hadPrevious);
      throw this.#writeFailed(error);
    }
  }

  /** Removes temporary files that a crash left. Only for the one who holds the directory's lock. */
  async removeLeftovers(): Promise<void> {
    const start = `${basename(this.#path)}.`;
    const names = await readdir(dirname(this.#path));
    const leftovers = names.filter((name) => name.startsWith(start) && /^\d+-[0-9a-f]{12}(?:\.previous)?\.tmp$/.test(name.slice(start.length)));
    await Promise.all(leftovers.map((name) => unlink(join(dirname(this.#path), name)).catch(ignoreMissing)));
  }

  /** The error that stops the start, in one line that tells what to do. */
  unreadable(what: string, cause?: unknown): PipesError {
    const generations = `${basename(this.#path)}.1 to .${GENERATIONS}`;
    const advice = `The file is left as it is; earlier ones stand beside it as ${generations}: copy the one you trust over it, or mend it.`;
    return new PipesError('internal', `${this.#path} cannot be used: ${what}. ${advice}`, { cause });
  }

  /** No file is a first start; no file beside its generations is a loss, which a new and empty file would hide. */
  async #assertFirst(): Promise<void> {
    const names = await readdir(dirname(this.#path)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return [] as string[];
      throw this.unreadable(`its directory cannot be read (${codeOf(error)})`, error);
    });
    for (let generation = 1; generation <= GENERATIONS; generation++) {
      if (names.includes(`${basename(this.#path)}.${generation}`)) {
        throw this.unreadable(`it is missing while ${basename(this.#path)}.${generation} is there (remove that too to begin anew)`);
      }
    }
  }

  async #shiftGenerations(youngest: string): Promise<void> {
    for (let generation = GENERATIONS - 1; generation >= 1; generation--) {
      await rename(`${this.#path}.${generation}`, `${this.#path}.${generation + 1}`).catch(ignoreMissing);
    }
    await rename(youngest, `${this.#path}.1`);
  }

  /** The new document has its name, yet may be lost with the power: the caller is told that it failed, so it must not stay. */
  async #takeBack(spare: string, hadPrevious: boolean): Promise<void> {
    const steps = hadPrevious
      ? nameAgain(`${this.#path}.1`, spare).then(() => rename(spare, this.#path))
      : unlink(this.#path);
    await steps.catch(() => undefined); // The disk fails already; the first failure is the one to tell.
  }

  #writeFailed(error: unknown): PipesError {
    const code = codeOf(error);
    const name = `${basename(this.#path)} in CONFIG_DIR (${dirname(this.#path)})`;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new PipesError('disk_full', `There is no space left for ${name}, and what it held before stands; free some and try again.`, { cause: error });
    }
    return new PipesError('internal', `${name} cannot be written (${code}); what it held before stands.`, { cause: error });
  }
}

const GENERATIONS = 5;

/** Configurations hold secrets in `env`, so nobody but the owner reads the file. */
const MODE = 0o600;

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A second name for the same bits; a copy where the file system has no hard links. False when there is no such file. */
async function nameAgain(path: string, name: string): Promise<boolean> {
  try {
    await link(path, name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    if (!NO_LINKS.has(codeOf(error))) throw error;
    await copyFile(path, name);
  }
  return true;
}

const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

async function fsyncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a directory and order renames by themselves.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error;
  } finally {
    await handle.close();
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
