import { DurationTally } from './duration-tally.ts';

/** What an instance was before it was woken. */
export const WAKE_ORIGINS = ['absent', 'stopped', 'paused', 'running'] as const;

/** What a wake can consist of. */
export const WAKE_PARTS = ['pull', 'create', 'start', 'ready'] as const;

/** From unpausing, which takes milliseconds, to pulling a large image. */
export const WAKE_BOUNDS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** One wake that ended well; parts that were not needed are 0. */
export interface CountedWake {
  readonly from: (typeof WAKE_ORIGINS)[number];
  readonly pullMs: number;
  readonly createMs: number;
  readonly startMs: number;
  readonly readyMs: number;
  readonly totalMs: number;
}

type Origin = CountedWake['from'];
type Part = (typeof WAKE_PARTS)[number];

/** Counts wakes, by what was woken. */
export class WakeTally {
  readonly totals: Readonly<Record<Origin, DurationTally>> = byName(WAKE_ORIGINS, newTally);
  readonly parts: Readonly<Record<Origin, Readonly<Record<Part, DurationTally>>>> = byName(WAKE_ORIGINS, () => byName(WAKE_PARTS, newTally));

  woken(wake: CountedWake): void {
    this.totals[wake.from].observe(wake.totalMs);
    for (const part of WAKE_PARTS) {
      const durationMs = wake[`${part}Ms`];
      if (durationMs > 0) this.parts[wake.from][part].observe(durationMs);
    }
  }
}

function newTally(): DurationTally {
  return new DurationTally(WAKE_BOUNDS_S);
}

function byName<Name extends string, Value>(names: readonly Name[], make: () => Value): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, make()])) as Record<Name, Value>;
}
