import { setMaxListeners } from 'node:events';
import { PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { parseReference, printReference, type Reference } from '../targets/reference.ts';
import type { Backend, BackendListener, Observed } from './backend.ts';
import type { InstanceControl, InstanceReport } from './instance-control.ts';
import type { InstanceParts } from './instance-parts.ts';
import { Instance, type RefreshOutcome } from './instance.ts';
import { Launcher, TagMoved, type ImageSource } from './launcher.ts';
import { RunningLimit } from './running-limit.ts';
import type { Run } from './run.ts';
import { Sleeper } from './sleeper.ts';
import { WakeWatchers, type WakeListener } from './wake-watchers.ts';
import type { EffectiveConfig, IdleTimes } from '../targets/target-config.ts';
import type { Starter } from './starter.ts';
import type { TagUse } from './tag-use.ts';
import { stateCounts } from './state-counts.ts';
import type { BoundedQueue } from '../core/bounded-queue.ts';

export interface TableOptions extends Omit<InstanceParts, 'closing' | 'isTold' | 'onRetire' | 'onProgress' | 'launcher'> {
  readonly images: ImageSource;
  readonly starter: Starter;
  readonly startQueue: BoundedQueue;
  /** `MAX_RUNNING`; Infinity for none. */
  readonly maxRunning: number;
  /** How long a start may wait until one of them can stop. */
  readonly roomTimeoutMs: number;
  /** How often what is known is held against what the engine shows. */
  readonly reconcileEveryMs: number;
  /** A container was removed, by whomever. */
  readonly onContainerGone?: () => void;
  /**
   * Asked before a request starts something.
   * @throws PipesError `rate_limited`
   */
  readonly admitColdStart: (client: string | undefined, isNewTarget: boolean) => void;
}

/**
 * Every instance that is not absent, by reference. Keeps them true to what the engine tells, and is where requests and
 * operators find them.
 */
export class InstanceTable implements InstanceControl {
  readonly #options: TableOptions;
  readonly #log: Log;
  readonly #backend: Backend;
  /** A tag that is written in another case than it has stands here beside its true name. */
  readonly #byKey = new Map<string, Instance>();
  readonly #byContainer = new Map<string, Instance>();
  readonly #watchers = new WakeWatchers();
  readonly #retiring = new Map<string, Promise<void>>();
  /** While the engine is asked for its list: instances whose status has changed since, so that the list may be older than what is known. */
  readonly #moved = new Set<Instance>();
  readonly #parts: InstanceParts;
  readonly #sleeper: Sleeper;
  readonly #limit: RunningLimit;
  readonly #closing = new AbortController();
  #isTold = false;
  #watch: { stop(): Promise<void> } | undefined;
  #reconcileTimer: NodeJS.Timeout | undefined;
  #reconciling: Promise<void> | undefined;

  constructor(options: TableOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#backend = options.backend;
    const instances = (): Iterable<Instance> => new Set(this.#byKey.values());
    const idleTimes = (instance: Instance): IdleTimes => options.resolver.describe(instance.reference).config.idle;
    this.#sleeper = new Sleeper({ instances, idleTimes, log: options.log, now: options.now });
    this.#limit = new RunningLimit({ instances, most: options.maxRunning, waitMs: options.roomTimeoutMs });
    this.#parts = {
      ...options,
      launcher: new Launcher({ ...options, makeRoom: (key, signal) => this.#limit.makeRoom(key, signal) }),
      closing: this.#closing.signal,
      isTold: () => this.#isTold,
      onProgress: (key, progress) => this.#watchers.tell((watched) => (this.#byKey.get(watched)?.key ?? watched) === key, progress),
      onRetire: (containerId, retired) => {
        this.#retiring.set(containerId, retired);
        void retired.finally(() => this.#retiring.delete(containerId));
      },
    };
  }

  /** Takes over what runs already, then follows the engine. An engine that is away is waited for in the background. */
  async open(): Promise<void> {
    // Every start listens to it while it lasts.
    setMaxListeners(0, this.#closing.signal);
    const listening = new Promise<void>((resolve) => {
      this.#watch = this.#backend.watch(this.#listener(resolve));
    });
    this.#reconcileTimer = setInterval(() => void this.reconcile(), this.#options.reconcileEveryMs);
    await Promise.race([listening, new Promise((resolve) => setTimeout(resolve, FIRST_CONTACT_MS).unref())]);
    await this.reconcile();
    this.#sleeper.start();
  }

  /** Ends every wait; containers stay as they are. */
  async close(): Promise<void> {
    clearInterval(this.#reconcileTimer);
    this.#sleeper.stop();
    this.#closing.abort(new PipesError('shutting_down', 'pipes is stopping.'));
    await this.#watch?.stop();
    await this.#reconciling;
  }

  /** Whether the engine answers and tells what happens. */
  get isEngineUp(): boolean {
    return this.#isTold;
  }

  /** The warm path: one look-up, no promise. Undefined when something has to be asked or started first. */
  tryLease(key: string): Run | undefined {
    return this.#byKey.get(key)?.tryLease();
  }

  /**
   * A run of this target, counted as in use; wakes it where needed. Pair with `release`.
   * @param client address that the cold start is counted for; undefined: nobody's
   * @throws PipesError of INTERFACE 3, or the signal's reason
   */
  async lease(reference: Reference, client: string | undefined, signal: AbortSignal): Promise<Run> {
    for (;;) {
      signal.throwIfAborted();
      const instance = this.#obtain(reference);
      const warm = instance.tryLease();
      if (warm) return warm;
      try {
        if (instance.isCold) {
          // What may not run at all must not use up what may.
          this.#options.resolver.resolve(instance.reference);
          this.#options.admitColdStart(client, instance.status.name === 'absent');
        }
        const run = await instance.wake(signal);
        // A stop may have come between the end of the wake and this line; then this request starts it again.
        if (!run.ended) return run.acquire();
      } catch (thrown) {
        this.#dropIfAbsent(instance);
        if (!(thrown instanceof TagMoved)) throw thrown;
        this.#byKey.set(printReference(reference), this.#obtain(thrown.reference));
      }
    }
  }

  /**
   * Tells each step of the target's wakes, first where it is now, until the returned function is called. Starts nothing, and
   * follows the target when its tag turns out to be written otherwise.
   */
  watch(reference: Reference, listener: WakeListener): () => void {
    const key = printReference(reference);
    listener(this.#byKey.get(key)?.progress ?? { phase: 'asleep' });
    return this.#watchers.add(key, listener);
  }

  /** @throws PipesError `image_forbidden` */
  assertMayRun(reference: Reference): void {
    this.#options.resolver.resolve(reference);
  }

  /** How requests that have to wait for the target are to be treated. */
  waitMode(reference: Reference): EffectiveConfig['wait'] {
    return this.#options.resolver.describe(this.#byKey.get(printReference(reference))?.reference ?? reference).config.wait;
  }

  /** True while a container is up for it, though it may have to be looked at before its next use. */
  isUp(key: string): boolean {
    return this.#byKey.get(key)?.status.name === 'running';
  }

  /** A request failed at this run's address: the engine is asked before its next use. */
  distrust(run: Run): void {
    this.#byContainer.get(run.containerId)?.distrust();
  }

  canonical(reference: Reference): Reference {
    const known = this.#byKey.get(printReference(reference));
    if (known) return known.reference;
    const key = printReference(reference).toLowerCase();
    const alike = [...new Set(this.#byKey.values())].filter((instance) => instance.key.toLowerCase() === key);
    return alike.length === 1 ? alike[0]!.reference : reference;
  }

  report(reference: Reference): InstanceReport {
    return (this.#byKey.get(printReference(reference)) ?? this.#make(reference)).report();
  }

  reports(): InstanceReport[] {
    return [...new Set(this.#byKey.values())].filter((instance) => instance.status.name !== 'absent').map((instance) => instance.report());
  }

  /** How many instances there are in each state. */
  stateCounts(): ReadonlyMap<string, number> {
    return stateCounts(new Set(this.#byKey.values()));
  }

  async start(reference: Reference): Promise<void> {
    this.#obtain(reference).forgetFailures();
    (await this.lease(reference, undefined, this.#closing.signal)).release();
  }

  stop(reference: Reference): Promise<void> {
    return this.#obtain(reference).stop();
  }

  restart(reference: Reference): Promise<void> {
    return this.#obtain(reference).restart();
  }

  assertManaged(reference: Reference): void {
    this.#byKey.get(printReference(reference))?.assertManaged();
  }

  remove(reference: Reference): Promise<void> {
    return this.#obtain(reference).remove();
  }

  async reconfigure(reference: Reference): Promise<void> {
    const instance = this.#obtain(reference);
    await instance.reconfigure();
    // Its idle times may be shorter now.
    this.#sleeper.consider(instance);
  }

  /** Every instance whose tag may move; of one, if it is among them. */
  tagUses(): TagUse[] {
    return [...new Set(this.#byKey.values())].map((instance) => instance.tagUse()).filter((use) => use !== undefined);
  }

  tagUse(key: string): TagUse | undefined {
    return this.#byKey.get(key)?.tagUse();
  }

  /** See `Instance.refresh`. Nothing is made for a target that is not there. */
  async refresh(key: string, imageId: string): Promise<RefreshOutcome> {
    return (await this.#byKey.get(key)?.refresh(imageId)) ?? 'asleep';
  }

  /** See `Instance.reject`. */
  reject(key: string, error: PipesError): void {
    this.#byKey.get(key)?.reject(error);
  }

  /** The next request tries again, whatever failed before. */
  forgetFailures(key: string): void {
    this.#byKey.get(key)?.forgetFailures();
  }

  /** Whether an instance runs from the image of this name, or may be about to be made from it. */
  wantsImage(name: string): boolean {
    for (const instance of this.#byKey.values()) if (instance.wantedImage === name) return true;
    return false;
  }

  /** Holds what is known against what the engine shows, and takes over what is new. Never throws. */
  reconcile(): Promise<void> {
    this.#reconciling ??= this.#reconcile().finally(() => {
      this.#reconciling = undefined;
      this.#moved.clear();
    });
    return this.#reconciling;
  }

  async #reconcile(): Promise<void> {
    const shown = await this.#backend.list().catch(() => undefined);
    if (!shown) return;
    for (const [key, containers] of groupByReference(shown.filter((observed) => !this.#retiring.has(observed.id)))) {
      const reference = readLabel(key);
      if (!reference) continue;
      const instance = this.#obtain(reference);
      if (instance.busy || this.#moved.has(instance)) continue;
      // A list without the container that is known is older than that container, so it says nothing about the others either.
      if (instance.containerId !== undefined && !containers.some(({ id }) => id === instance.containerId)) {
        if (!instance.isForeign) instance.distrust();
        continue;
      }
      const [chosen, ...leftovers] = containers.sort(byPreference(instance.containerId));
      instance.adopt(chosen!);
      for (const leftover of leftovers) await this.#removeLeftover(leftover);
    }
    const seen = new Set(shown.map((observed) => observed.id));
    for (const [containerId, instance] of this.#byContainer) {
      // The list may be older than the container, so its absence there is only a reason to ask.
      if (!seen.has(containerId) && instance.report().managed) instance.distrust();
    }
  }

  /** A crash in the middle of a replacement leaves two; the one that is not chosen serves nobody. */
  async #removeLeftover(leftover: Observed): Promise<void> {
    this.#log.info({ reference: leftover.reference, container: leftover.id }, 'removing a container that an interrupted replacement left behind');
    await this.#backend.remove(leftover.id).catch((thrown: unknown) => this.#log.warn({ err: thrown }, 'could not remove it'));
  }

  #listener(onTold: () => void): BackendListener {
    return {
      changed: (containerId, what) => {
        const instance = this.#byContainer.get(containerId);
        if (what === 'removed') this.#options.onContainerGone?.();
        if (what === 'died' || what === 'crashed') this.#options.starter.noticeDied(containerId);
        if (!instance) return;
        if (what === 'died' || what === 'crashed') void this.#noticeDied(instance, containerId, what === 'crashed');
        if (what === 'removed') instance.noticeRemoved(containerId);
        if (what === 'paused' || what === 'unpaused') instance.distrust();
        this.#dropIfAbsent(instance);
      },
      lost: () => {
        this.#isTold = false;
        this.#log.warn('the engine no longer tells what happens; warm targets go on being served');
        for (const instance of this.#byKey.values()) instance.distrust();
      },
      restored: () => {
        this.#isTold = true;
        // Addresses may have moved to other containers meanwhile, so nothing is used again before it was looked at.
        for (const instance of this.#byKey.values()) instance.distrust();
        void this.reconcile();
        onTold();
      },
    };
  }

  async #noticeDied(instance: Instance, containerId: string, byItself: boolean): Promise<void> {
    try {
      if (!(await instance.noticeDied(containerId, byItself))) return;
      this.#log.info({ ref: instance.key, container: containerId }, 'it died by itself while it was in use; starting it again');
      await instance.wake(this.#closing.signal);
    } catch (thrown) {
      if (!this.#closing.signal.aborted) this.#log.warn({ ref: instance.key, err: thrown }, 'a container died, and could not be looked at or started again');
    }
  }

  #obtain(reference: Reference): Instance {
    const key = printReference(reference);
    const known = this.#byKey.get(key);
    if (known) return known;
    const instance = this.#make(reference);
    this.#byKey.set(key, instance);
    return instance;
  }

  /** Whoever asks for names that do not exist must not fill the table. */
  #dropIfAbsent(instance: Instance): void {
    if (instance.status.name !== 'absent' || instance.busy) return;
    for (const [key, other] of this.#byKey) if (other === instance) this.#byKey.delete(key);
  }

  #make(reference: Reference): Instance {
    return new Instance(reference, this.#parts, {
      changed: (instance, before) => {
        if (this.#reconciling) this.#moved.add(instance);
        const after = instance.containerId;
        if (before !== undefined && before !== after && this.#byContainer.get(before) === instance) this.#byContainer.delete(before);
        if (after !== undefined) this.#byContainer.set(after, instance);
        this.#sleeper.consider(instance);
      },
      // Also where nobody waits any more: the caller left before the wake failed, or it was the sleeper who removed it.
      settled: (instance) => this.#dropIfAbsent(instance),
    });
  }
}

/** How long the start waits for the engine before it goes on without; a local engine answers in milliseconds. */
const FIRST_CONTACT_MS = 5_000;

function groupByReference(containers: readonly Observed[]): Map<string, Observed[]> {
  const groups = new Map<string, Observed[]>();
  for (const container of containers) groups.set(container.reference, [...(groups.get(container.reference) ?? []), container]);
  return groups;
}

/** Undefined for a label that this version of pipes would not have written. */
function readLabel(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

/** The one in use first, then what runs, then what sleeps; of equals the youngest. */
function byPreference(inUse: string | undefined): (a: Observed, b: Observed) => number {
  const rank = (container: Observed): number => (container.id === inUse ? 0 : container.state === 'running' ? 1 : container.state === 'paused' ? 2 : 3);
  return (a, b) => rank(a) - rank(b) || (b.startedAt?.getTime() ?? 0) - (a.startedAt?.getTime() ?? 0);
}
