import { PipesError } from '../core/errors.ts';

/** How long a target that failed is left alone: 2 s, doubled with each failure in a row, at most 5 min. */
export const FIRST_BACKOFF_MS = 2_000;
export const LONGEST_BACKOFF_MS = 300_000;

/** Remembers the last failure of a target and until when it is not tried again. */
export class Backoff {
  readonly #now: () => number;
  #failures = 0;
  #retryAtMs = 0;
  #error: PipesError | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Why the last try failed, with the seconds that are left until the next. */
  get error(): PipesError | undefined {
    return this.#error && !this.mayTry ? this.#timed(this.#error) : this.#error;
  }

  /** Keeps the reason without making later tries wait: for failures that are not the container's own. */
  note(error: PipesError): void {
    this.#error = error;
  }

  /** Counts a failure; the returned error says when the next try can be made. */
  failed(error: PipesError): PipesError {
    this.#retryAtMs = this.#now() + Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#error = this.#timed(error);
    return this.#error;
  }

  /**
   * Counts a death by itself while it served. The first may be tried again at once; one soon after another is a crash loop,
   * which waits longer each time.
   */
  crashed(error: PipesError): void {
    if (this.#failures === 0) {
      this.#failures = 1;
      this.#error = error;
      return;
    }
    this.#failures -= 1;
    this.failed(error);
    this.#failures += 1;
  }

  /** It came up. The count stands until it has served for a while, or a crash loop would never be seen. */
  succeeded(): void {
    this.#retryAtMs = 0;
    this.#error = undefined;
  }

  /** It has served long enough that its next failure is a new story. */
  forgive(): void {
    this.#failures = 0;
  }

  /** @throws PipesError the last failure, with the seconds that are left, while it is too early for another try */
  assertMayTry(): void {
    if (this.#error && !this.mayTry) throw this.#timed(this.#error);
  }

  get mayTry(): boolean {
    return this.#now() >= this.#retryAtMs;
  }

  clear(): void {
    this.#failures = 0;
    this.#retryAtMs = 0;
    this.#error = undefined;
  }

  #timed(error: PipesError): PipesError {
    const retryAfterS = Math.max(1, Math.ceil((this.#retryAtMs - this.#now()) / 1000));
    return new PipesError(error.code, error.message, { cause: error.cause, members: error.members, privateDetail: error.privateDetail, retryAfterS });
  }
}
