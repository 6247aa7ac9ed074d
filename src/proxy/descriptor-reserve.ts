import type { Socket } from 'node:net';
import type { Log } from '../core/log.ts';

/**
 * Keeps some of the process's descriptors for what requests need besides their own connection: the container's, the engine's, the files of
 * CONFIG_DIR. Once all others are taken, new clients are turned away at once, and those that are there are served on. Without it the last
 * descriptor goes to one more client, and nobody can be served.
 */
export class DescriptorReserve {
  readonly #highest: number;
  readonly #log: Log;
  #turnedAway = 0;
  #toldMs = -Infinity;

  /** @param most how many descriptors the process may have open */
  constructor(most: number, log: Log) {
    this.#highest = most - Math.min(LARGEST, Math.max(SMALLEST, Math.floor(most / 4)));
    this.#log = log;
  }

  /** Whether this connection, just taken, may stay. A system gives the lowest free descriptor, so a high one says how many are in use. */
  admits(socket: Socket): boolean {
    const descriptor = (socket as WithHandle)._handle?.fd ?? -1;
    if (descriptor < this.#highest) return true;
    this.#tell(undefined);
    return false;
  }

  /** A connection could not even be taken. */
  failed(error: Error): void {
    this.#tell(error);
  }

  /** Whoever comes in thousands must not fill the log as well. */
  #tell(error: Error | undefined): void {
    this.#turnedAway += 1;
    if (performance.now() - this.#toldMs < EVERY_MS) return;
    this.#toldMs = performance.now();
    this.#log.error({ connections: this.#turnedAway, err: error }, 'new connections are turned away: no descriptor is left for them (ulimit -n)');
    this.#turnedAway = 0;
  }
}

/** Node tells the descriptor of a socket nowhere else. */
interface WithHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

const SMALLEST = 32;
const LARGEST = 512;
const EVERY_MS = 10_000;
