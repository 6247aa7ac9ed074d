import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory on a file system of its own, in memory, that a test fills, empties and makes read-only. */
export class SmallDisk {
  readonly path: string;
  readonly #ballast: string;

  /** @param options of the mount: `size=256k`, `nr_inodes=20`. Throws where nothing can be mounted. */
  constructor(options: string) {
    this.path = mkdtempSync(join(tmpdir(), 'pipes-disk-'));
    this.#ballast = join(this.path, 'ballast');
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', this.path], { stdio: 'pipe' });
    mkdirSync(this.#ballast);
  }

  /** What speaks against it on this machine, in one line. */
  static obstacle(): string | undefined {
    try {
      new SmallDisk('size=64k').remove();
      return undefined;
    } catch (error) {
      return `a small file system cannot be mounted here: ${(error as Error).message.trim()}`;
    }
  }

  /** To the last byte. */
  fill(): void {
    writeUntilFull(join(this.#ballast, 'bytes'), Buffer.alloc(4096));
  }

  /** To the last inode; empty files, so that there are bytes left. */
  fillInodes(): void {
    for (let number = readdirSync(this.#ballast).length; statfsSync(this.path).ffree > 0; number += 1) writeFileSync(join(this.#ballast, `file-${number}`), '');
  }

  /** Takes back what `fill` and `fillInodes` put there. */
  empty(): void {
    for (const name of readdirSync(this.#ballast)) rmSync(join(this.#ballast, name));
  }

  remount(mode: 'ro' | 'rw'): void {
    execFileSync('mount', ['-o', `remount,${mode}`, this.path], { stdio: 'pipe' });
  }

  remove(): void {
    execFileSync('umount', ['-l', this.path], { stdio: 'pipe' });
    rmSync(this.path, { recursive: true, force: true });
  }
}

function writeUntilFull(path: string, block: Buffer): void {
  try {
    for (;;) writeFileSync(path, block, { flag: 'a' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
