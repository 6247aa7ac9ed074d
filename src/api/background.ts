import { asPipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/** Work that goes on after its request was answered (`?wait=false`). Its failures are logged, and stand in the target's state. */
export class Background {
  readonly #log: Log;
  readonly #running = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param about what the work concerns, for the log */
  run(about: Readonly<Record<string, string>>, work: Promise<void>): void {
    const ended: Promise<void> = work
      .catch((thrown: unknown) => {
        const error = asPipesError(thrown);
        this.#log.warn({ ...about, code: error.code, err: error.cause ?? error }, error.message);
      })
      .finally(() => this.#running.delete(ended));
    this.#running.add(ended);
  }

  /** Resolves when nothing is running. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
