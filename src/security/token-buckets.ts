/** So many in such a time: `60/min`. A rate of `Infinity` never runs out. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/**
 * One bucket of `count` tokens per key, refilled evenly over `perMs`. Memory is bounded: beyond `maxKeys` the key that was
 * used longest ago is forgotten, and so has a full bucket when it comes back.
 */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param nowMs a clock, in milliseconds */
  constructor(rate: Rate, maxKeys: number, nowMs: () => number) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
    this.#nowMs = nowMs;
  }

  /** Milliseconds until there is a token for this key; 0 when there is one now. Takes nothing. */
  waitMs(key: string): number {
    if (this.#rate.count === Infinity) return 0;
    if (this.#rate.count <= 0) return this.#rate.perMs;
    const { tokens } = this.#filled(key);
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * this.#rate.perMs) / this.#rate.count);
  }

  /** Takes one token, if there is one. */
  take(key: string): void {
    if (!Number.isFinite(this.#rate.count)) return;
    const { tokens, atMs } = this.#filled(key);
    this.#buckets.delete(key); // set below, as the youngest
    this.#buckets.set(key, { tokens: Math.max(0, tokens - 1), atMs });
    if (this.#buckets.size <= this.#maxKeys) return;
    const oldest = this.#buckets.keys().next();
    if (!oldest.done) this.#buckets.delete(oldest.value);
  }

  /** Gives back a token that was taken for nothing. */
  giveBack(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket) this.#buckets.set(key, { ...bucket, tokens: Math.min(this.#rate.count, bucket.tokens + 1) });
  }

  get size(): number {
    return this.#buckets.size;
  }

  #filled(key: string): Bucket {
    const nowMs = this.#nowMs();
    const bucket = this.#buckets.get(key);
    if (!bucket) return { tokens: this.#rate.count, atMs: nowMs };
    // The time of day may be set back; that takes nothing away.
    const gained = (Math.max(0, nowMs - bucket.atMs) * this.#rate.count) / this.#rate.perMs;
    return { tokens: Math.min(this.#rate.count, bucket.tokens + gained), atMs: nowMs };
  }
}

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}
