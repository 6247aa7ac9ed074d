import type { Log } from '../core/log.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { IdleTimes } from '../targets/target-config.ts';
import type { Instance, SleepTier } from './instance.ts';

export interface SleeperOptions {
  /** Every instance that is not absent. */
  readonly instances: () => Iterable<Instance>;
  readonly idleTimes: (instance: Instance) => IdleTimes;
  readonly log: Log;
  /** The steady clock, in milliseconds. */
  readonly now: () => number;
}

/**
 * Puts instances to sleep, deeper the longer nobody asks for them: running → paused → stopped → removed.
 *
 * There is one timer, set to the moment at which the first of them can be due. Use only moves that moment away, so a request
 * has nothing to tell here; what may bring it nearer, a change of status or configuration, calls `consider`.
 */
export class Sleeper {
  readonly #options: SleeperOptions;
  /** After a failure an instance is left alone until then. */
  readonly #notBeforeMs = new WeakMap<Instance, number>();
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = Infinity;
  #isStopped = true;

  constructor(options: SleeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isStopped = false;
    for (const instance of this.#options.instances()) this.consider(instance);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** The instance may be due earlier than was thought. */
  consider(instance: Instance): void {
    if (!this.#isStopped) this.#lookAt(this.#nextOf(instance).atMs);
  }

  #lookAt(atMs: number): void {
    if (atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    clearTimeout(this.#timer);
    const delayMs = Math.min(Math.max(atMs - this.#options.now(), SHORTEST_DELAY_MS), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    this.#dueAtMs = Infinity;
    const nowMs = this.#options.now();
    let nextAtMs = Infinity;
    for (const instance of this.#options.instances()) {
      const { tier, atMs, idleForMs } = this.#nextOf(instance);
      if (tier !== undefined && atMs <= nowMs) void this.#putToSleep(instance, tier, idleForMs);
      else nextAtMs = Math.min(nextAtMs, atMs);
    }
    this.#lookAt(nextAtMs);
  }

  async #putToSleep(instance: Instance, tier: SleepTier, idleForMs: number): Promise<void> {
    try {
      await instance.sleep(tier, idleForMs);
    } catch (thrown) {
      this.#notBeforeMs.set(instance, this.#options.now() + RETRY_AFTER_MS);
      this.#options.log.warn({ ref: instance.key, tier, err: thrown }, 'could not be put to sleep; trying again later');
    }
    this.consider(instance);
  }

  /** What comes next for it, and when; no tier: nothing before that time. */
  #nextOf(instance: Instance): { tier: SleepTier | undefined; atMs: number; idleForMs: number } {
    const { name } = instance.status;
    const deeper = DEEPER[name];
    if (deeper === undefined || instance.isForeign) return { tier: undefined, atMs: Infinity, idleForMs: 0 };
    const nowMs = this.#options.now();
    const times = this.#options.idleTimes(instance);
    const idleForMs: Record<SleepTier, number> = { pause: times.pauseMs, stop: times.stopMs, remove: times.removeMs };
    const soonestMs = Math.min(...deeper.map((tier) => idleForMs[tier]));
    const sinceMs = instance.idleSinceMs;
    if (sinceMs === undefined || instance.busy) return { tier: undefined, atMs: nowMs + Math.max(soonestMs, BUSY_DELAY_MS), idleForMs: 0 };
    const earliestMs = this.#notBeforeMs.get(instance) ?? 0;
    // Of several that are due, only the deepest makes sense.
    const due = deeper.find((tier) => sinceMs + idleForMs[tier] <= nowMs);
    const tier = due ?? deeper.find((one) => idleForMs[one] === soonestMs)!;
    return { tier, atMs: Math.max(sinceMs + idleForMs[tier], earliestMs), idleForMs: idleForMs[tier] };
  }
}

/** What a status can still sink to, the deepest first. The rest is on its way somewhere. */
const DEEPER: Readonly<Record<string, readonly SleepTier[] | undefined>> = {
  running: ['remove', 'stop', 'pause'],
  paused: ['remove', 'stop'],
  stopped: ['remove'],
  failed: ['remove'],
};

/** Timers are not exact; this keeps a deadline that is missed by a hair from being a busy loop. */
const SHORTEST_DELAY_MS = 5;
const BUSY_DELAY_MS = 50;
const RETRY_AFTER_MS = 30_000;
