import { write, writeSync } from 'node:fs';
import type { LineSink } from './gathered-lines.ts';

export interface LineOutputOptions {
  readonly fd: number;
  /** The line that tells of those that were lost before it. */
  readonly lossLine: (lines: number) => string;
}

/**
 * Writes lines to a file descriptor, one write after the other, and lives on when it takes none: on a full disk, without a reader, behind
 * one who does not read. So much is kept for later; beyond it lines are lost, and are counted once there is room again. Whoever writes is
 * never held up and never told, for a log is no reason to stop serving.
 */
export class LineOutput implements LineSink {
  readonly #options: LineOutputOptions;
  /** Not written yet, in order. Its first bytes may belong to a line of which the beginning is written. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lostLines = 0;
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LineOutputOptions) {
    this.#options = options;
  }

  write(text: string): void {
    if (this.#lostLines > 0 && this.#waitingBytes < MOST_BYTES / 2) {
      const loss = this.#options.lossLine(this.#lostLines);
      this.#lostLines = 0;
      this.#keep(loss);
    }
    if (this.#waitingBytes > MOST_BYTES) this.#lostLines += text.split('\n').length - 1;
    else this.#keep(text);
    if (!this.#isWriting && this.#timer === undefined) this.#writeNext();
  }

  /** Before the end of the process: what is taken within a moment is written, the rest is given up. */
  flushSync(): void {
    let patienceMs = LONGEST_FLUSH_MS;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        this.#putBack(next.subarray(writeSync(this.#options.fd, next)));
      } catch (error) {
        this.#putBack(next);
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || patienceMs <= 0) break;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_MS);
        patienceMs -= BUSY_MS;
      }
    }
    this.#waitingBytes = this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  #keep(text: string): void {
    const bytes = Buffer.from(text);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  #writeNext(): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#waitingBytes -= next.length;
    this.#isWriting = true;
    write(this.#options.fd, next, (error, bytes) => {
      this.#isWriting = false;
      this.#putBack(error === null ? next.subarray(bytes) : next);
      if (error === null) return this.#writeNext();
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#writeNext();
      }, error.code === 'EAGAIN' ? BUSY_MS : FAILED_MS);
      this.#timer.unref();
    });
  }

  #putBack(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#waiting.unshift(rest);
    this.#waitingBytes += rest.length;
  }
}

/** An hour of a quiet pipes, or a second of a busy one. */
const MOST_BYTES = 1024 * 1024;

const BUSY_MS = 20;
const LONGEST_FLUSH_MS = 500;
const FAILED_MS = 1_000;
