import { PipesError } from '../core/errors.ts';

/**
 * Remembers for a while that there is no such image, so that a host name nobody made costs the registry one question and not
 * one per request. Bounded: the oldest entry leaves when a new one does not fit.
 */
export class MissingImages {
  readonly #forMs: number;
  readonly #capacity: number;
  readonly #now: () => number;
  readonly #untilMs = new Map<string, number>();

  constructor(forMs: number, capacity: number, now: () => number) {
    this.#forMs = forMs;
    this.#capacity = capacity;
    this.#now = now;
  }

  get size(): number {
    return this.#untilMs.size;
  }

  /** Remembers the image and gives the error to throw now. */
  add(image: string): PipesError {
    this.#untilMs.delete(image);
    this.#untilMs.set(image, this.#now() + this.#forMs);
    const oldest = this.#untilMs.keys().next().value;
    if (this.#untilMs.size > this.#capacity && oldest !== undefined) this.#untilMs.delete(oldest);
    return notFound(image, this.#forMs);
  }

  /** The error to throw as long as the image is remembered, with the time that is left. */
  find(image: string): PipesError | undefined {
    const leftMs = (this.#untilMs.get(image) ?? 0) - this.#now();
    if (leftMs > 0) return notFound(image, leftMs);
    this.#untilMs.delete(image);
    return undefined;
  }

  forget(image: string): void {
    this.#untilMs.delete(image);
  }
}

function notFound(image: string, leftMs: number): PipesError {
  return new PipesError('image_not_found', `There is no image ${image}, neither here nor in its registry (or it needs a login).`, {
    retryAfterS: Math.max(1, Math.ceil(leftMs / 1000)),
  });
}
