import { randomBytes } from 'node:crypto';
import { open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PipesError } from '../core/errors.ts';

/**
 * One process per directory, also between containers that share it, which have no process ids in common. A crash gives the
 * directory free at once.
 *
 * The lock is a Unix domain socket in the directory: the kernel closes it with its process, whatever way that ends. Each
 * contender first shows a listening socket of its own, then looks for others. Whoever sees no other that answers holds the
 * directory; of two at the same time the one that showed itself later sees the other, so never both hold it. Sockets that
 * refuse belong to the dead: a name appears only once its socket listens, and no name is ever used twice.
 *
 * It does not reach between machines that share a directory over the network.
 */
export class ConfigDirLock {
  readonly #directory: string;
  #held: Claim | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws PipesError with one line that says who holds the directory, or why it cannot be locked */
  async take(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const claim = await this.#claim();
      try {
        const others = await Promise.all((await claim.others()).map(async (name) => ({ name, answer: await ask(claim.pathOf(name)) })));
        if (others.every(({ answer }) => answer === 'dead')) {
          claim.hold();
          await Promise.all(others.map(({ name }) => unlink(claim.pathOf(name)).catch(() => undefined)));
          this.#held = claim;
          return;
        }
        const holder = others.map(({ answer }) => answer).find((answer) => answer !== 'dead' && answer !== 'looking');
        if (holder !== undefined) throw this.#inUse(holder);
      } finally {
        if (this.#held !== claim) await claim.withdraw();
      }
      // Two that start in the same moment may both have stepped back; unequal waits part them.
      await delay(10 + Math.random() * 40 * (attempt + 1));
    }
    throw this.#inUse('others that are starting in this moment');
  }

  /** Safe to call when it is not held. */
  async release(): Promise<void> {
    const claim = this.#held;
    this.#held = undefined;
    await claim?.withdraw();
  }

  async #claim(): Promise<Claim> {
    try {
      return await Claim.show(this.#directory);
    } catch (error) {
      if (isFull(error)) throw new PipesError('disk_full', `The disk of CONFIG_DIR ${this.#directory} is full, or has no inode left for a lock; make some room and start again.`, { cause: error });
      const { code } = error as NodeJS.ErrnoException;
      const advice = 'It must be writable, and on a file system with Unix sockets (a Docker volume is).';
      throw new PipesError('internal', `CONFIG_DIR ${this.#directory} cannot be locked (${code}). ${advice}`, { cause: error });
    }
  }

  #inUse(holder: string): PipesError {
    return new PipesError('internal', `CONFIG_DIR ${this.#directory} is in use by ${holder}; stop it, or give this one a CONFIG_DIR of its own.`);
  }
}

const ATTEMPTS = 20;

/** A holder that does not answer in this time is taken to be alive: a stopped process still owns its files. */
const ANSWER_TIMEOUT_MS = 1000;

const NAME = /^\.lock-[0-9a-f]{16}\.sock$/;

/** One contender's socket in the directory. */
class Claim {
  readonly #directory: FileHandle;
  readonly #base: string;
  readonly #name: string;
  readonly #server: Server;
  #holds = false;

  private constructor(directory: FileHandle, base: string, name: string) {
    this.#directory = directory;
    this.#base = base;
    this.#name = name;
    this.#server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(this.#holds ? `process ${process.pid} on ${hostname()}` : 'looking');
    });
    this.#server.unref();
  }

  static async show(path: string): Promise<Claim> {
    const directory = await open(path, 'r');
    // A socket's path has room for 107 bytes (unix(7)); by way of its descriptor every directory has a short one.
    const base = process.platform === 'linux' ? `/proc/self/fd/${directory.fd}` : path;
    const claim = new Claim(directory, base, `.lock-${randomBytes(8).toString('hex')}`);
    try {
      await claim.#listen().catch(async (error: unknown) => {
        // The socket of one that crashed may hold the very inode that is missing.
        if (!isFull(error) || !(await claim.#removeDead())) throw error;
        await claim.#listen();
      });
      return claim;
    } catch (error) {
      await claim.withdraw();
      throw error;
    }
  }

  /** Names of the other sockets that are there, alive or not. */
  async others(): Promise<string[]> {
    const names = await readdir(this.#base);
    return names.filter((name) => NAME.test(name) && name !== `${this.#name}.sock`);
  }

  /** Whoever sees a dead socket may remove it: its name is never used again. False when there was none. */
  async #removeDead(): Promise<boolean> {
    const paths = (await this.others()).map((name) => this.pathOf(name));
    const dead = await Promise.all(paths.map(async (path) => (await ask(path)) === 'dead' && unlink(path).then(() => true, () => false)));
    return dead.includes(true);
  }

  pathOf(name: string): string {
    return join(this.#base, name);
  }

  hold(): void {
    this.#holds = true;
  }

  async withdraw(): Promise<void> {
    await unlink(this.pathOf(`${this.#name}.sock`)).catch(() => undefined);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await this.#directory.close();
  }

  async #listen(): Promise<void> {
    // Bound under another name first: between bind and listen a socket refuses as a dead one does.
    const bound = this.pathOf(`${this.#name}.new`);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(bound, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    await rename(bound, this.pathOf(`${this.#name}.sock`));
  }
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Who answers there: `dead` for nobody, `looking` for one that does not hold the directory (yet), else who holds it. */
function ask(path: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    const timer = setTimeout(() => finish('a process that does not answer'), ANSWER_TIMEOUT_MS);
    const finish = (result: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    // A contender that steps back may close before it has answered; it never held the directory.
    socket.on('end', () => finish(answer === '' ? 'looking' : answer));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') finish('dead');
      else if (error.code === 'ECONNRESET' || error.code === 'EPIPE') finish('looking');
      else finish(`a process that cannot be asked (${error.code ?? error.message})`);
    });
  });
}
