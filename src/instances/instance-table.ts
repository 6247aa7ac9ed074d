import { setMaxListeners } from 'node:events';
import type { BoundedQueue } from '../core/bounded-queue.ts';
import { PipesError } from '../core/errors.ts';
import type { CountedStart } from '../security/proxy/wake-rate.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { EffectiveConfig } from '../targets/target-config.ts';
import { EngineFollower } from './engine-follower.ts';
import type { InstanceControl, InstanceReport } from './instance-control.ts';
import type { InstanceParts } from './instance-parts.ts';
import { InstanceRoster } from './instance-roster.ts';
import { Instance, type RefreshOutcome } from './instance.ts';
import { Launcher, TagMoved, type ImageSource } from './launcher.ts';
import { RunningLimit } from './running-limit.ts';
import type { Run } from './run.ts';
import { Sleeper } from './sleeper.ts';
import type { Starter } from './starter.ts';
import { stateCounts } from './state-counts.ts';
import type { TagUse } from './tag-use.ts';
import { WakeWatchers, type WakeListener } from './wake-watchers.ts';

export interface TableOptions extends Omit<InstanceParts, 'closing' | 'isTold' | 'stretch' | 'onRetire' | 'onProgress' | 'launcher'> {
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
   * Asked before a request starts something; what it gives is told when nothing was started.
   * @throws PipesError `rate_limited`
   */
  readonly admitColdStart: (client: string | undefined, isNewTarget: boolean) => CountedStart | undefined;
}

/**
 * Where requests and operators find instances. It joins the parts that keep them: the roster, the follower of the engine, the
 * sleeper, the limit of what runs at once.
 */
export class InstanceTable implements InstanceControl {
  readonly #options: TableOptions;
  readonly #roster = new InstanceRoster((reference) => this.#make(reference));
  readonly #watchers = new WakeWatchers();
  /** Containers that were replaced and are on their way out. */
  readonly #retiring = new Set<string>();
  readonly #parts: InstanceParts;
  readonly #follower: EngineFollower;
  readonly #sleeper: Sleeper;
  readonly #closing = new AbortController();

  constructor(options: TableOptions) {
    this.#options = options;
    const { backend, starter, log, now, resolver, reconcileEveryMs, onContainerGone, maxRunning, roomTimeoutMs } = options;
    const instances = (): Iterable<Instance> => this.#roster.all();
    const isRetiring = (containerId: string): boolean => this.#retiring.has(containerId);
    const limit = new RunningLimit({ instances, most: maxRunning, waitMs: roomTimeoutMs });
    this.#follower = new EngineFollower({ backend, roster: this.#roster, starter, log, reconcileEveryMs, isRetiring, onContainerGone, closing: this.#closing.signal });
    this.#sleeper = new Sleeper({ instances, idleTimes: (instance) => resolver.describe(instance.reference).config.idle, log, now });
    this.#parts = {
      ...options,
      launcher: new Launcher({ ...options, makeRoom: (key, signal) => limit.makeRoom(key, signal) }),
      closing: this.#closing.signal,
      isTold: () => this.#follower.isTold,
      stretch: () => this.#follower.stretch,
      onProgress: (key, progress) => this.#watchers.tell((watched) => (this.#roster.get(watched)?.key ?? watched) === key, progress),
      onRetire: (containerId, retired) => {
        this.#retiring.add(containerId);
        void retired.finally(() => this.#retiring.delete(containerId));
      },
    };
  }

  /** Takes over what runs already, then follows the engine. An engine that is away is waited for in the background. */
  async open(): Promise<void> {
    // Every start listens to it while it lasts.
    setMaxListeners(0, this.#closing.signal);
    await this.#follower.start();
    this.#sleeper.start();
  }

  /** Ends every wait; containers stay as they are. */
  async close(): Promise<void> {
    this.#sleeper.stop();
    this.#closing.abort(new PipesError('shutting_down', 'pipes is stopping.'));
    await this.#follower.stop();
  }

  /** Whether the engine answers and tells what happens. */
  get isEngineUp(): boolean {
    return this.#follower.isTold;
  }

  /** The warm path: one look-up, no promise. Undefined when something has to be asked or started first. */
  tryLease(key: string): Run | undefined {
    return this.#roster.get(key)?.tryLease();
  }

  /**
   * A run of this target, counted as in use; wakes it where needed. Pair with `release`.
   * @param client address that the cold start is counted for; undefined: nobody's
   * @throws PipesError of INTERFACE 3, or the signal's reason
   */
  async lease(reference: Reference, client: string | undefined, signal: AbortSignal): Promise<Run> {
    for (;;) {
      signal.throwIfAborted();
      const instance = this.#roster.obtain(reference);
      const warm = instance.tryLease();
      if (warm) return warm;
      try {
        if (instance.isCold) this.#countColdStart(instance, client);
        const run = await instance.wake(signal);
        // A stop may have come between the end of the wake and this line; then this request starts it again.
        if (!run.ended) return run.acquire();
      } catch (thrown) {
        this.#roster.dropIfAbsent(instance);
        if (!(thrown instanceof TagMoved)) throw thrown;
        this.#roster.alias(reference, this.#roster.obtain(thrown.reference));
      }
    }
  }

  /**
   * Counts a wake that is about to begin, and takes that back if it turns out to start nothing, whether or not its caller stays
   * to hear of it. @throws PipesError `image_forbidden`, `rate_limited`
   */
  #countColdStart(instance: Instance, client: string | undefined): void {
    // What may not run at all must not use up what may.
    const { imageRef } = this.#options.resolver.resolve(instance.reference);
    if (instance.isHeldBack) return;
    const wasKnownMissing = this.#options.images.isKnownMissing(imageRef);
    const counted = this.#options.admitColdStart(client, instance.status.name === 'absent');
    if (!counted) return;
    instance.wake(this.#closing.signal).catch((thrown: unknown) => {
      const code = thrown instanceof PipesError ? thrown.code : undefined;
      const isMissing = code === 'image_not_found';
      // The tag is written otherwise: that instance's wake is counted in its stead.
      if (thrown instanceof TagMoved || (isMissing && wasKnownMissing) || (code !== undefined && STARTED_NOTHING.has(code))) counted.undo();
      else if (isMissing) counted.foundNoImage();
    });
  }

  /**
   * Tells each step of the target's wakes, first where it is now, until the returned function is called. Starts nothing, and
   * follows the target when its tag turns out to be written otherwise.
   */
  watch(reference: Reference, listener: WakeListener): () => void {
    const key = printReference(reference);
    listener(this.#roster.get(key)?.progress ?? { phase: 'asleep' });
    return this.#watchers.add(key, listener);
  }

  /** @throws PipesError `image_forbidden` */
  assertMayRun(reference: Reference): void {
    this.#options.resolver.resolve(reference);
  }

  /** How requests that have to wait for the target are to be treated. */
  waitMode(reference: Reference): EffectiveConfig['wait'] {
    return this.#options.resolver.describe(this.#roster.get(printReference(reference))?.reference ?? reference).config.wait;
  }

  /** True while a container is up for it, though it may have to be looked at before its next use. */
  isUp(key: string): boolean {
    return this.#roster.get(key)?.status.name === 'running';
  }

  /** A request failed at this run's address: the engine is asked before its next use. */
  distrust(run: Run): void {
    this.#roster.inContainer(run.containerId)?.distrust();
  }

  canonical(reference: Reference): Reference {
    const known = this.#roster.get(printReference(reference));
    if (known) return known.reference;
    const key = printReference(reference).toLowerCase();
    const alike = [...this.#roster.all()].filter((instance) => instance.key.toLowerCase() === key);
    return alike.length === 1 ? alike[0]!.reference : reference;
  }

  report(reference: Reference): InstanceReport {
    return (this.#roster.get(printReference(reference)) ?? this.#make(reference)).report();
  }

  reports(): InstanceReport[] {
    return [...this.#roster.all()].filter((instance) => instance.status.name !== 'absent').map((instance) => instance.report());
  }

  /** How many instances there are in each state. */
  stateCounts(): ReadonlyMap<string, number> {
    return stateCounts(this.#roster.all());
  }

  async start(reference: Reference): Promise<void> {
    this.#roster.obtain(reference).forgetFailures();
    (await this.lease(reference, undefined, this.#closing.signal)).release();
  }

  stop(reference: Reference): Promise<void> {
    return this.#roster.obtain(reference).stop();
  }

  restart(reference: Reference): Promise<void> {
    return this.#roster.obtain(reference).restart();
  }

  assertManaged(reference: Reference): void {
    this.#roster.get(printReference(reference))?.assertManaged();
  }

  remove(reference: Reference): Promise<void> {
    return this.#roster.obtain(reference).remove();
  }

  async reconfigure(reference: Reference): Promise<void> {
    const instance = this.#roster.obtain(reference);
    await instance.reconfigure();
    // Its idle times may be shorter now.
    this.#sleeper.consider(instance);
  }

  /** Every instance whose tag may move; of one, if it is among them. */
  tagUses(): TagUse[] {
    return [...this.#roster.all()].map((instance) => instance.tagUse()).filter((use) => use !== undefined);
  }

  tagUse(key: string): TagUse | undefined {
    return this.#roster.get(key)?.tagUse();
  }

  /** See `Instance.refresh`. Nothing is made for a target that is not there. */
  async refresh(key: string, imageId: string): Promise<RefreshOutcome> {
    return (await this.#roster.get(key)?.refresh(imageId)) ?? 'asleep';
  }

  /** See `Instance.reject`. */
  reject(key: string, error: PipesError): void {
    this.#roster.get(key)?.reject(error);
  }

  /** The next request tries again, whatever failed before. */
  forgetFailures(key: string): void {
    this.#roster.get(key)?.forgetFailures();
  }

  /** Whether an instance runs from the image of this name, or may be about to be made from it. */
  wantsImage(name: string): boolean {
    for (const instance of this.#roster.all()) if (instance.wantedImage === name) return true;
    return false;
  }

  /** Holds what is known against what the engine shows, and takes over what is new. Never throws. */
  reconcile(): Promise<void> {
    return this.#follower.reconcile();
  }

  #make(reference: Reference): Instance {
    return new Instance(reference, this.#parts, {
      changed: (instance, before) => {
        this.#roster.noteContainer(instance, before);
        this.#follower.noteChanged(instance);
        this.#sleeper.consider(instance);
      },
      // Also where nobody waits any more: the caller left before the wake failed, or it was the sleeper who removed it.
      settled: (instance) => this.#roster.dropIfAbsent(instance),
    });
  }
}

/** Failures that neither the registry nor a container was troubled for. */
const STARTED_NOTHING: ReadonlySet<string> = new Set(['engine_unavailable', 'queue_full', 'shutting_down']);
