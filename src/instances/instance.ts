import { asPipesError, PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { printImageRef } from '../images/image-ref.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { TargetResolver } from '../targets/target-resolver.ts';
import type { Target } from '../targets/target.ts';
import type { Backend, Observed, RunSpec } from './backend.ts';
import { Backoff } from './backoff.ts';
import { configHash } from './config-hash.ts';
import type { InstanceReport } from './instance-control.ts';
import { containerOf, MOVES, type InstanceStatus } from './instance-status.ts';
import { Lane } from './lane.ts';
import { TagMoved, type Launcher } from './launcher.ts';
import { Run } from './run.ts';
import type { Live } from './starter.ts';
import type { Attempt } from './wake-attempt.ts';
import type { WakeProgress, WakeTiming } from './wake-progress.ts';

export interface InstanceParts {
  readonly backend: Backend;
  readonly launcher: Launcher;
  readonly resolver: TargetResolver;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly drainTimeoutMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly stopGraceS: number;
  readonly adoptForeign: boolean;
  /** False while the engine's stream of changes is broken: what is known may be old. */
  readonly isTold: () => boolean;
  /** Ends every wait when pipes stops. */
  readonly closing: AbortSignal;
  /** Told at each change of status, with the container before it. */
  readonly onStatus: (instance: Instance, containerBefore: string | undefined) => void;
  /** Nothing new goes to this run's address; what is under way may finish. */
  readonly onEnded: (run: Run) => void;
  /** A container that this instance no longer uses but that still runs, until the promise settles. */
  readonly onRetire: (containerId: string, retired: Promise<void>) => void;
  /** A wake ended well. */
  readonly onWoken: (instance: Instance, timing: WakeTiming) => void;
}

/** How deep an instance sleeps. */
export type SleepTier = 'pause' | 'stop' | 'remove';

/**
 * One target's run, as a state machine: whatever happens to it goes through one lane, one thing after the other, and each
 * begins by asking the engine what is really there. A request is an event like any other: one that meets a stop waits for
 * it in the lane and starts again.
 */
export class Instance {
  readonly reference: Reference;
  readonly key: string;
  readonly #parts: InstanceParts;
  readonly #lane = new Lane();
  readonly #backoff: Backoff;
  readonly #listeners = new Set<(progress: WakeProgress) => void>();
  /** Runs whose readiness this process has seen; an adopted one is not among them. */
  readonly #ready = new WeakSet<Run>();
  #status: InstanceStatus = { name: 'absent' };
  #progress: WakeProgress = { phase: 'asleep' };
  /** Whether the address may be used without asking the engine first. */
  #trusted = false;
  #wake: Promise<Run> | undefined;
  #lastUsedAtMs: number | undefined;
  #lastWake: WakeTiming | undefined;

  constructor(reference: Reference, parts: InstanceParts) {
    this.reference = reference;
    this.key = printReference(reference);
    this.#parts = parts;
    this.#backoff = new Backoff(parts.now);
  }

  get status(): InstanceStatus {
    return this.#status;
  }

  get busy(): boolean {
    return this.#lane.busy;
  }

  /** True when a request has to start something: it is neither up nor on its way up. */
  get isCold(): boolean {
    return this.#wake === undefined && this.#status.name !== 'running';
  }

  /** Served by a container that someone started by hand. */
  get isForeign(): boolean {
    return this.#status.name === 'running' && !this.#status.run.managed;
  }

  /** When it was used last, in milliseconds since the epoch; undefined while it is in use, or if that is not known. */
  get idleSinceMs(): number | undefined {
    if (this.#status.name !== 'running') return this.#lastUsedAtMs;
    return this.#status.run.inFlight > 0 ? undefined : this.#status.run.lastUsedAtMs;
  }

  /** The warm path: the run, counted as in use, if it can be used as it is; no promise, no engine. Pair with `release`. */
  tryLease(): Run | undefined {
    if (this.#status.name !== 'running' || !this.#trusted) return undefined;
    return this.#status.run.acquire();
  }

  /**
   * Brings it up, or asks the engine whether what is known still holds. Everybody who asks meanwhile shares one wake, and
   * leaving does not end it.
   * @throws PipesError of INTERFACE 3, `TagMoved`, or the signal's reason
   */
  wake(signal: AbortSignal): Promise<Run> {
    this.#wake ??= this.#lane.run(() => this.#bringUp()).finally(() => (this.#wake = undefined));
    return leave(this.#wake, signal);
  }

  /** Takes over a container that the engine shows. Only while nothing else is going on. */
  adopt(observed: Observed): void {
    if (this.busy) return;
    this.#trusted = false;
    if (observed.state === 'running' && observed.upstream) {
      const current = this.#status.name === 'running' ? this.#status.run : undefined;
      if (current?.containerId === observed.id && current.isStill(observed)) {
        this.#trusted = this.#parts.isTold() && this.#ready.has(current);
        return;
      }
      this.#endRun();
      // Not trusted yet: the first request asks whether it is ready, which only this process can have known.
      this.#setStatus({ name: 'running', run: new Run({ ...observed, upstream: observed.upstream }, this.#parts.now()) });
      return;
    }
    this.#endRun();
    this.#lastUsedAtMs ??= observed.finishedAt?.getTime() ?? this.#parts.now();
    this.#setStatus({ name: observed.state === 'paused' ? 'paused' : 'stopped', containerId: observed.id });
  }

  /**
   * The engine says that this container died. Nothing more is sent to it until the engine was asked, for the word may be about
   * an earlier life of the same container and late.
   * @param byItself nobody told it to
   * @returns whether it should come back at once: it died by itself while it was wanted
   */
  async noticeDied(containerId: string, byItself: boolean): Promise<boolean> {
    if (containerOf(this.#status) !== containerId) return false;
    if (this.#status.name !== 'running' && this.#status.name !== 'paused') return false;
    this.distrust();
    return this.#lane.run(() => this.#confirmDeath(containerId, byItself));
  }

  /** The engine says that this container is gone. */
  noticeRemoved(containerId: string): void {
    if (containerOf(this.#status) === containerId && SETTLED.has(this.#status.name)) this.#goAbsent();
  }

  /** What is known may be old, or a request failed at the address: ask the engine before the next use. */
  distrust(): void {
    this.#trusted = false;
  }

  /** The next wake tries again, whatever failed before. */
  forgetFailures(): void {
    this.#backoff.clear();
  }

  /**
   * Puts it to sleep, unless it is used by the time its turn comes.
   * @param idleForMs how long it must have been idle then
   */
  sleep(tier: SleepTier, idleForMs: number): Promise<void> {
    return this.#lane.run(async () => {
      if (!this.#hasBeenIdleFor(idleForMs)) return;
      const observed = await this.#observeManaged();
      if (!observed) {
        this.#goAbsent();
        return;
      }
      // A request may have come while the engine was asked.
      if (!this.#hasBeenIdleFor(idleForMs)) return;
      if (tier === 'pause') return this.#pauseContainer(observed);
      if (tier === 'stop') return this.#stopContainer(observed);
      await this.#removeContainer(observed);
    });
  }

  /** Stops the container once its requests are done, at most `drainTimeoutMs` later. */
  stop(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      if (!observed) {
        this.#goAbsent();
        return;
      }
      await this.#stopContainer(observed);
    });
  }

  /** Stops and removes the container. */
  remove(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.#backoff.clear();
      if (!observed) {
        this.#goAbsent();
        return;
      }
      await this.#removeContainer(observed);
    });
  }

  /** A running container is replaced; anything else only forgets its failures, for it is made anew at its next start. */
  reconfigure(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.#backoff.clear();
      if (observed?.state === 'running') await this.#replace(observed);
    });
  }

  /** Replaces the container whatever its state; makes one where there is none. */
  restart(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.#backoff.clear();
      if (observed?.state === 'running') return this.#replace(observed);
      this.#settle(observed);
      await this.#recording(async () => {
        const attempt = this.#attempt(this.#parts.resolver.resolve(this.reference));
        const spec = await this.#parts.launcher.specFor(attempt);
        if (observed) await this.#discard(observed);
        this.#serve(await this.#parts.launcher.create(spec, attempt));
      });
    });
  }

  /** @throws PipesError `not_managed` for a container that someone started by hand */
  assertManaged(): void {
    if (this.#status.name === 'running' && !this.#status.run.managed) throw notManaged();
  }

  /** Told of each step of a wake, first of where it is now, until the returned function is called. Must not throw. */
  watch(listener: (progress: WakeProgress) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#progress);
    return () => this.#listeners.delete(listener);
  }

  report(): InstanceReport {
    const run = this.#status.name === 'running' ? this.#status.run : undefined;
    const lastUsedAtMs = run?.lastUsedAtMs ?? this.#lastUsedAtMs;
    return {
      reference: this.key,
      image: printImageRef(this.#describe().imageRef),
      digest: run?.imageDigest ?? null,
      state: this.#status.name,
      containerId: containerOf(this.#status) ?? null,
      managed: run?.managed ?? true,
      startedAt: run?.startedAt ?? null,
      lastUsedAt: lastUsedAtMs === undefined ? null : new Date(lastUsedAtMs),
      inFlight: run?.inFlight ?? 0,
      upstream: run?.upstream ?? null,
      error: this.#backoff.error ?? null,
      lastWake: this.#lastWake ?? null,
    };
  }

  #hasBeenIdleFor(idleForMs: number): boolean {
    const sinceMs = this.idleSinceMs;
    return sinceMs !== undefined && this.#parts.now() - sinceMs >= idleForMs && this.#wake === undefined;
  }

  async #bringUp(): Promise<Run> {
    const target = this.#parts.resolver.resolve(this.reference);
    let observed: Observed | undefined;
    try {
      observed = await this.#observe();
    } catch (thrown) {
      // Warm targets go on being served while the engine is away (INTERFACE 3); its return makes us ask again.
      if (this.#status.name === 'running' && asPipesError(thrown).code === 'engine_unavailable') return this.#status.run;
      throw thrown;
    }
    if (observed && this.#status.name === 'running' && this.#status.run.isStill(observed) && this.#ready.has(this.#status.run)) {
      this.#trusted = this.#parts.isTold();
      return this.#status.run;
    }
    // Somebody else's container that no longer runs is none of ours to start or remove.
    if (observed?.managed === false && observed.state !== 'running') observed = undefined;
    this.#settle(observed);
    this.#backoff.assertMayTry();
    return this.#recording(() => this.#startFrom(observed, target));
  }

  async #confirmDeath(containerId: string, byItself: boolean): Promise<boolean> {
    const run = this.#status.name === 'running' ? this.#status.run : undefined;
    if (containerOf(this.#status) !== containerId || (!run && this.#status.name !== 'paused')) return false;
    const observed = await this.#parts.backend.inspect(containerId);
    if (run && observed && run.isStill(observed)) {
      this.#trusted = this.#parts.isTold() && this.#ready.has(run);
      return false;
    }
    const { pauseMs, stopMs } = this.#describe().config.idle;
    const isWanted = run !== undefined && (run.inFlight > 0 || this.#parts.now() - run.lastUsedAtMs < Math.min(pauseMs, stopMs));
    this.#endRun();
    this.#setStatus(observed && run?.managed !== false ? { name: 'stopped', containerId } : { name: 'absent' });
    if (!byItself || observed?.state !== 'exited' || run?.managed !== true) return false;
    const exitCode = observed.exitCode ?? null;
    this.#backoff.crashed(new PipesError('instance_failed', `The container exited with code ${exitCode ?? 'unknown'} while it served.`, { members: { exitCode } }));
    return isWanted && this.#backoff.mayTry;
  }

  async #startFrom(observed: Observed | undefined, target: Target): Promise<Run> {
    const startedMs = performance.now();
    const attempt = this.#attempt(target);
    const live = await this.#launch(observed, attempt);
    const from = observed === undefined ? 'absent' : observed.state === 'exited' || observed.state === 'created' ? 'stopped' : observed.state;
    this.#lastWake = { from, ...attempt.timing, totalMs: performance.now() - startedMs };
    const run = this.#serve(live);
    this.#parts.onWoken(this, this.#lastWake);
    return run;
  }

  /** The container that is there where it still is what it should be; else a new one. */
  async #launch(observed: Observed | undefined, attempt: Attempt): Promise<Live> {
    const { launcher, backend, adoptForeign } = this.#parts;
    const { target } = attempt;
    if (observed?.state === 'running') {
      this.#starting(observed.id);
      return launcher.attach(observed.id, attempt);
    }
    // Nobody can have changed the image of a paused one without pipes being told, so its configuration is all that is compared.
    if (observed?.state === 'paused' && observed.configHash === configHash(target.imageRef, target.config)) {
      this.#starting(observed.id);
      return launcher.resume(observed, attempt);
    }
    if (!observed && adoptForeign) {
      const foreign = await backend.findForeign(this.reference, target.imageRef, target.config.port);
      if (foreign) return this.#attachForeign(foreign.id, attempt);
    }
    const spec = await this.#specOrReuse(observed, attempt);
    if (observed && (spec === undefined || (observed.configHash === spec.configHash && observed.imageId === spec.image.id))) {
      this.#starting(observed.id);
      return launcher.resume(observed, attempt);
    }
    if (observed) await this.#discard(observed);
    return launcher.create(spec!, attempt);
  }

  async #discard(observed: Observed): Promise<void> {
    await this.#parts.backend.remove(observed.id);
    this.#goAbsent();
  }

  /** Undefined: the image cannot be had now, but what ran before can run again without it. */
  async #specOrReuse(observed: Observed | undefined, attempt: Attempt): Promise<RunSpec | undefined> {
    try {
      return await this.#parts.launcher.specFor(attempt);
    } catch (thrown) {
      if (observed && REUSABLE_WITHOUT_IMAGE.has(asPipesError(thrown).code)) return undefined;
      throw thrown;
    }
  }

  async #attachForeign(containerId: string, attempt: Attempt): Promise<Live> {
    try {
      this.#starting(containerId);
      return await this.#parts.launcher.attach(containerId, attempt);
    } catch (thrown) {
      this.#setStatus({ name: 'absent' });
      throw thrown;
    }
  }

  /** New beside old, or old first where two at once would do harm. If the new one fails, the old serves on. */
  async #replace(old: Observed): Promise<void> {
    const target = this.#parts.resolver.resolve(this.reference);
    // Those who watch a wake are not told of a replacement: the old one serves them.
    const attempt = { ...this.#attempt(target), onProgress: () => undefined, onCreated: () => undefined };
    try {
      const spec = await this.#parts.launcher.specFor(attempt);
      await (target.config.replace === 'stop-first' ? this.#replaceStopFirst(old, spec, target) : this.#replaceOverlapping(old, spec, attempt));
      this.#backoff.clear();
    } catch (thrown) {
      this.#backoff.note(asPipesError(thrown));
      throw thrown;
    }
  }

  async #replaceOverlapping(old: Observed, spec: RunSpec, attempt: Attempt): Promise<void> {
    let created: string | undefined;
    try {
      const live = await this.#parts.launcher.create(spec, { ...attempt, onCreated: (id) => (created = id) });
      const oldRun = this.#status.name === 'running' ? this.#status.run : undefined;
      this.#serve(live);
      this.#parts.onRetire(old.id, this.#retire(old.id, oldRun));
    } catch (thrown) {
      if (created !== undefined) await this.#parts.backend.remove(created);
      throw thrown;
    }
  }

  async #replaceStopFirst(old: Observed, spec: RunSpec, target: Target): Promise<void> {
    const { launcher, backend } = this.#parts;
    await this.#stopContainer(old);
    try {
      this.#serve(await launcher.create(spec, this.#attempt(target)));
    } catch (thrown) {
      const created = containerOf(this.#status);
      if (created !== undefined && created !== old.id) await backend.remove(created);
      this.#starting(old.id);
      this.#serve(await launcher.resume({ ...old, state: 'exited' }, this.#attempt(target)));
      throw thrown;
    }
    await backend.remove(old.id);
  }

  async #retire(containerId: string, run: Run | undefined): Promise<void> {
    const { backend, drainTimeoutMs, stopGraceS, log } = this.#parts;
    try {
      await run?.drained(drainTimeoutMs);
      await backend.stop(containerId, stopGraceS);
      await backend.remove(containerId);
    } catch (thrown) {
      log.warn({ reference: this.key, container: containerId, err: thrown }, 'a replaced container could not be removed; the next reconcile tries again');
    }
  }

  async #pauseContainer(observed: Observed): Promise<void> {
    if (observed.state !== 'running') return;
    this.#endRun();
    // Shown before it is done, so that a request which comes now waits for it in the lane and unpauses.
    this.#setStatus({ name: 'paused', containerId: observed.id });
    await this.#parts.backend.pause(observed.id);
  }

  async #stopContainer(observed: Observed): Promise<void> {
    if (observed.state === 'created' || observed.state === 'exited') {
      this.#endRun();
      this.#setStatus({ name: 'stopped', containerId: observed.id }); return;
    }
    const run = this.#status.name === 'running' ? this.#status.run : undefined;
    this.#endRun();
    this.#setStatus({ name: 'stopping', containerId: observed.id });
    try {
      await run?.drained(this.#parts.drainTimeoutMs);
      await this.#parts.backend.stop(observed.id, this.#parts.stopGraceS);
    } finally {
      // Also when the engine failed: what it really did is asked at the next use.
      this.#setStatus({ name: 'stopped', containerId: observed.id });
    }
  }

  async #removeContainer(observed: Observed): Promise<void> {
    await this.#stopContainer(observed);
    await this.#parts.backend.remove(observed.id);
    this.#setStatus({ name: 'absent' });
  }

  /** What the engine shows of our container. @throws PipesError `not_managed` */
  async #observeManaged(): Promise<Observed | undefined> {
    this.assertManaged();
    return this.#observe();
  }

  /** What the engine shows. One that serves and that somebody paused goes on, for its requests are still open. */
  async #observe(): Promise<Observed | undefined> {
    const { backend } = this.#parts;
    const known = containerOf(this.#status);
    const observed = known === undefined ? undefined : await backend.inspect(known);
    if (observed?.state !== 'paused' || !observed.managed || this.#status.name !== 'running') return observed;
    await backend.unpause(observed.id);
    return backend.inspect(observed.id);
  }

  /** Keeps why an attempt failed, and settles the status that it left in the middle. */
  async #recording<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (thrown) {
      const containerId = containerOf(this.#status);
      if (thrown instanceof TagMoved) {
        this.#setStatus(containerId === undefined ? { name: 'absent' } : { name: 'stopped', containerId });
        throw thrown;
      }
      const error = asPipesError(thrown);
      if (OWN_FAILURES.has(error.code)) {
        if (error.code === 'instance_not_ready' && containerId !== undefined) await this.#stopUnready(containerId);
        const timed = this.#backoff.failed(error);
        this.#setStatus({ name: 'failed', containerId });
        this.#tell({ phase: 'failed', error: timed });
        throw timed;
      }
      this.#backoff.note(error);
      this.#setStatus(containerId === undefined ? { name: 'absent' } : { name: 'stopped', containerId });
      this.#tell({ phase: 'failed', error });
      throw error;
    }
  }

  async #stopUnready(containerId: string): Promise<void> {
    const { backend, log } = this.#parts;
    const observed = await backend.inspect(containerId).catch(() => undefined);
    if (observed?.managed !== true) return;
    await backend.stop(containerId, 1).catch((thrown: unknown) => log.warn({ reference: this.key, err: thrown }, 'could not stop a container that did not get ready'));
  }

  /** One attempt to come up, which shows its steps in the status. */
  #attempt(target: Target): Attempt {
    return {
      reference: this.reference,
      target,
      signal: this.#parts.closing,
      timing: { pullMs: 0, createMs: 0, startMs: 0, readyMs: 0 },
      onCreated: (containerId) => this.#starting(containerId),
      onProgress: (progress) => {
        const containerId = containerOf(this.#status);
        if (progress.phase === 'pulling') this.#setStatus({ name: 'pulling', layers: progress.layers, containerId });
        if (progress.phase === 'creating') this.#setStatus({ name: 'creating' });
        this.#tell(progress);
      },
    };
  }

  #starting(containerId: string): void {
    this.#endRun();
    this.#setStatus({ name: 'starting', containerId });
  }

  /** From here on requests go to this container. */
  #serve(live: Live): Run {
    this.#endRun();
    const run = new Run(live, this.#parts.now());
    this.#ready.add(run);
    this.#backoff.succeeded();
    this.#setStatus({ name: 'running', run });
    this.#trusted = this.#parts.isTold();
    this.#tell({ phase: 'ready' });
    return run;
  }

  /** Shows what the engine says of a container that does not run, whatever was thought of it before. */
  #settle(observed: Observed | undefined): void {
    if (observed?.state === 'running') return;
    this.#endRun();
    if (!observed) this.#setStatus({ name: 'absent' });
    else this.#setStatus({ name: observed.state === 'paused' ? 'paused' : this.#status.name === 'failed' ? 'failed' : 'stopped', containerId: observed.id });
  }

  #goAbsent(): void {
    this.#endRun();
    this.#setStatus({ name: 'absent' });
  }

  #endRun(): void {
    this.#trusted = false;
    if (this.#status.name !== 'running' || this.#status.run.ended) return;
    const { run } = this.#status;
    run.end();
    this.#lastUsedAtMs = run.lastUsedAtMs;
    if (this.#parts.now() - run.servesSinceMs >= STABLE_AFTER_MS) this.#backoff.forgive();
    this.#parts.onEnded(run);
  }

  #setStatus(next: InstanceStatus): void {
    const before = this.#status;
    if (before.name !== next.name && !MOVES[before.name].includes(next.name)) {
      this.#parts.log.error({ reference: this.key, from: before.name, to: next.name }, 'an instance made a move that no life makes');
    }
    this.#status = next;
    if (SETTLED.has(next.name) && next.name !== 'running' && next.name !== 'failed') this.#progress = { phase: 'asleep' };
    this.#parts.onStatus(this, containerOf(before));
  }

  #tell(progress: WakeProgress): void {
    this.#progress = progress;
    for (const listener of this.#listeners) listener(progress);
  }

  #describe(): Target {
    return this.#parts.resolver.describe(this.reference);
  }
}

/** A container that served this long and then dies is no crash loop. */
const STABLE_AFTER_MS = 60_000;

/** Between two jobs; in all other states a job of ours is at work and finds out by itself. */
const SETTLED: ReadonlySet<string> = new Set(['running', 'paused', 'stopped', 'failed', 'absent']);

/** Failures of the container or its image: tried again only after a while. All others are somebody else's, and may pass at once. */
const OWN_FAILURES: ReadonlySet<string> = new Set(['instance_failed', 'instance_not_ready', 'image_unusable']);

const REUSABLE_WITHOUT_IMAGE: ReadonlySet<string> = new Set(['image_not_found', 'registry_denied', 'registry_unavailable', 'pull_timeout', 'queue_full']);

function notManaged(): PipesError {
  return new PipesError('not_managed', 'Someone started this container by hand, so pipes does not touch it. Stop it by hand, or label it pipes.ignore=true.');
}

/** The promise's outcome, or the signal's reason if that comes first; the promise goes on for the others. */
function leave<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    void shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
