import PQueue from 'p-queue';
import { PipesError } from './errors.ts';

export interface BoundedQueueOptions {
  /** What the queue's jobs do, for the error's reader: `pulls`, `starts`. */
  readonly name: string;
  /** Jobs that run at the same time. */
  readonly concurrency: number;
  /** Jobs that may wait besides those that run. */
  readonly waitingLimit: number;
}

export interface QueuedJobOptions {
  /** Aborted while the job waits: it leaves the queue. Aborted while it runs: the job is told through its own signal. */
  readonly signal: AbortSignal;
  /** Told how many jobs are ahead, first at once when the job has to wait, then at each change. Must not throw. */
  readonly onPosition?: (ahead: number) => void;
}

interface Waiting {
  readonly onPosition: ((ahead: number) => void) | undefined;
}

/** Runs so many jobs at once, lets so many wait in the order they came, and refuses the rest. */
export class BoundedQueue {
  readonly #options: BoundedQueueOptions;
  readonly #queue: PQueue;
  #waiting: Waiting[] = [];
  #running = 0;

  constructor(options: BoundedQueueOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency });
  }

  /** Jobs that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Jobs that run now. A job counts until it has really ended, also when its caller gave up. */
  get running(): number {
    return this.#running;
  }

  /**
   * Runs the job in its turn and gives its result.
   * @throws PipesError `queue_full`, whatever the job throws, or the signal's reason when it left while waiting
   */
  async run<T>(job: (signal: AbortSignal) => Promise<T>, { signal, onPosition }: QueuedJobOptions): Promise<T> {
    signal.throwIfAborted();
    const entry: Waiting = { onPosition };
    const mustWait = this.#running + this.#waiting.length >= this.#options.concurrency;
    if (mustWait && this.#waiting.length >= this.#options.waitingLimit) {
      throw new PipesError('queue_full', `${this.#waiting.length} ${this.#options.name} are waiting already; try again in a moment.`);
    }
    this.#waiting.push(entry);
    if (mustWait) onPosition?.(this.#waiting.length - 1);

    const leaving = new AbortController();
    const leave = (): void => leaving.abort(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await this.#queue.add(
        async () => {
          // From here on the job itself answers for the signal: p-queue would free the place while the job still runs.
          signal.removeEventListener('abort', leave);
          this.#forget(entry);
          this.#running++;
          try {
            return await job(signal);
          } finally {
            this.#running--;
          }
        },
        { signal: leaving.signal },
      );
    } finally {
      signal.removeEventListener('abort', leave);
      this.#forget(entry);
    }
  }

  #forget(entry: Waiting): void {
    const index = this.#waiting.indexOf(entry);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    for (let ahead = index; ahead < this.#waiting.length; ahead++) this.#waiting[ahead]!.onPosition?.(ahead);
  }
}
