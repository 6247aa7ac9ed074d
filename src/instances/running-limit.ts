import { setTimeout as delay } from 'node:timers/promises';
import { PipesError } from '../core/errors.ts';
import type { Instance } from './instance.ts';

export interface RunningLimitOptions {
  /** `MAX_RUNNING`; Infinity for none. */
  readonly most: number;
  readonly instances: () => Iterable<Instance>;
  /** How long a start may wait for room. */
  readonly waitMs: number;
}

/** Keeps the number of running containers below a limit: the longest idle one stops first, never one with requests in flight. */
export class RunningLimit {
  readonly #options: RunningLimitOptions;
  /** Starts that have been given room and do not show as running yet. */
  readonly #reserved = new Set<string>();

  constructor(options: RunningLimitOptions) {
    this.#options = options;
  }

  /**
   * Resolves when this target may start, with what to call once it runs or has failed.
   * @throws PipesError `queue_full` when all that run are in use for that long
   */
  async makeRoom(key: string, signal: AbortSignal): Promise<() => void> {
    const { most, waitMs } = this.#options;
    if (most === Infinity) return nothing;
    const deadlineMs = performance.now() + waitMs;
    while (this.#running(key) >= most) {
      if (performance.now() >= deadlineMs) throw new PipesError('queue_full', `${most} containers run already, and all are in use; try again in a moment.`);
      const victim = this.#longestIdle(key);
      // A paused container still holds its memory, so what has to make room stops.
      if (victim) await victim.sleep('stop', 0);
      if (this.#running(key) >= most) await delay(POLL_MS, undefined, { signal });
    }
    this.#reserved.add(key);
    // The status follows a few turns after the start has ended; until then the place stays taken.
    return () => setImmediate(() => this.#reserved.delete(key));
  }

  #running(except: string): number {
    const keys = new Set(this.#reserved);
    for (const instance of this.#options.instances()) if (COUNTED.has(instance.status.name) && !instance.isForeign) keys.add(instance.key);
    keys.delete(except);
    return keys.size;
  }

  #longestIdle(except: string): Instance | undefined {
    let longest: Instance | undefined;
    for (const instance of this.#options.instances()) {
      if (instance.status.name !== 'running' || instance.key === except || instance.isForeign || instance.busy || instance.idleSinceMs === undefined) continue;
      if (longest === undefined || instance.idleSinceMs < longest.idleSinceMs!) longest = instance;
    }
    return longest;
  }
}

const COUNTED: ReadonlySet<string> = new Set(['creating', 'starting', 'running', 'stopping']);

/** How soon a request that ends is noticed by a start that waits for its place. */
const POLL_MS = 50;

function nothing(): void {
  // There is no limit, so nothing was taken.
}
