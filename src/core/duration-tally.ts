/**
 * How often something took how long: the counts of a histogram as plain numbers, so that counting costs no allocation and no look-up.
 * `Metrics` shows it.
 */
export class DurationTally {
  /** Upper bounds of the buckets, in seconds, ascending. */
  readonly boundsS: readonly number[];
  /** Of each bucket alone; the last one is of what is above every bound. */
  readonly counts: Float64Array;
  sumS = 0;
  count = 0;

  constructor(boundsS: readonly number[]) {
    this.boundsS = boundsS;
    this.counts = new Float64Array(boundsS.length + 1);
  }

  observe(durationMs: number): void {
    const seconds = durationMs / 1000;
    const { boundsS } = this;
    let bucket = 0;
    while (bucket < boundsS.length && seconds > boundsS[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sumS += seconds;
    this.count += 1;
  }
}
