import { asPipesError, PipesError } from '../core/errors.ts';
import { printImageRef } from '../images/image-ref.ts';
import type { Reference } from '../targets/reference.ts';
import type { Observed } from './backend.ts';
import { BringUp, OWN_FAILURES } from './bring-up.ts';
import { ContainerSleep } from './container-sleep.ts';
import type { InstanceReport } from './instance-control.ts';
import { InstanceLife } from './instance-life.ts';
import type { InstanceParts } from './instance-parts.ts';
import type { InstanceStatus } from './instance-status.ts';
import { Lane } from './lane.ts';
import { TagMoved } from './launcher.ts';
import { Replacement } from './replacement.ts';
import { lookAtRun, NO_WORD } from './run-check.ts';
import type { Run } from './run.ts';
import type { TagUse } from './tag-use.ts';
import type { WakeProgress } from './wake-progress.ts';

/** What became of bringing an instance to another image. */
export type RefreshOutcome =
  /** The new one serves. */
  | 'replaced'
  /** It runs that image already. */
  | 'same'
  /** That image failed here before, and nobody who could know better has asked for another try. */
  | 'rejected'
  /** It does not run now. */
  | 'asleep';

/** How deep an instance sleeps. */
export type SleepTier = 'pause' | 'stop' | 'remove';

/** Told by an instance, at once. Must not throw. */
export interface InstanceListener {
  /** Its status changed. */
  changed(instance: Instance, containerBefore: string | undefined): void;
  /** All that was asked of it has ended. */
  settled(instance: Instance): void;
}

/**
 * One target's run, as a state machine: whatever happens to it goes through one lane, one thing after the other, and each
 * begins by asking the engine what is really there. A request is an event like any other: one that meets a stop waits for
 * it in the lane and starts again.
 */
export class Instance {
  readonly #life: InstanceLife;
  readonly #parts: InstanceParts;
  readonly #bringUp: BringUp;
  readonly #sleep: ContainerSleep;
  readonly #replacement: Replacement;
  readonly #lane: Lane;
  #wake: Promise<Run> | undefined;

  constructor(reference: Reference, parts: InstanceParts, listener: InstanceListener) {
    this.#parts = parts;
    this.#lane = new Lane(() => listener.settled(this));
    this.#life = new InstanceLife(reference, parts, (before) => listener.changed(this, before));
    this.#bringUp = new BringUp(this.#life, parts);
    this.#sleep = new ContainerSleep(this.#life, parts);
    this.#replacement = new Replacement(this.#life, parts, this.#bringUp, this.#sleep);
  }

  get reference(): Reference {
    return this.#life.reference;
  }

  get key(): string {
    return this.#life.key;
  }

  get status(): InstanceStatus {
    return this.#life.status;
  }

  get containerId(): string | undefined {
    return this.#life.containerId;
  }

  get busy(): boolean {
    return this.#lane.busy;
  }

  /** True when a request has to start something: it is neither up nor on its way up. */
  get isCold(): boolean {
    return this.#wake === undefined && this.#life.run === undefined;
  }

  /** True while its last failure keeps it from being tried again. */
  get isHeldBack(): boolean {
    return !this.#life.backoff.mayTry;
  }

  /** Served by a container that someone started by hand. */
  get isForeign(): boolean {
    return this.#life.run?.managed === false;
  }

  /** When it was used last, by the steady clock; undefined while it is in use, or if that is not known. */
  get idleSinceMs(): number | undefined {
    return this.#life.idleSinceMs;
  }

  /** The warm path: the run, counted as in use, if it can be used as it is; no promise, no engine. Pair with `release`. */
  tryLease(): Run | undefined {
    return this.#life.tryLease();
  }

  /**
   * Brings it up, or asks the engine whether what is known still holds. Everybody who asks meanwhile shares one wake, and
   * leaving does not end it.
   * @throws PipesError of INTERFACE 3, `TagMoved`, or the signal's reason
   */
  wake(signal: AbortSignal): Promise<Run> {
    this.#wake ??= this.#lane.run(() => this.#wakeUp()).finally(() => (this.#wake = undefined));
    return leave(this.#wake, signal);
  }

  /** Takes over a container that the engine shows. Only while nothing else is going on. */
  adopt(observed: Observed): void {
    if (!this.busy) this.#life.adopt(observed);
  }

  /**
   * The engine says that this container died. Nothing more is sent to it until the engine was asked, for the word may be about
   * an earlier life of the same container and late.
   * @param byItself nobody told it to
   * @returns whether it should come back at once: it died by itself while it was wanted
   */
  async noticeDied(containerId: string, byItself: boolean): Promise<boolean> {
    if (!this.#isUpIn(containerId)) return false;
    this.distrust();
    return this.#lane.run(async () => this.#isUpIn(containerId) && this.#confirmDeath(containerId, byItself));
  }

  /** The engine says that this container is gone. */
  noticeRemoved(containerId: string): void {
    if (this.containerId === containerId && SETTLED.has(this.status.name)) this.#life.settle(undefined);
  }

  /** What is known may be old, or a request failed at the address: ask the engine before the next use. */
  distrust(): void {
    this.#life.distrust();
  }

  /** The next wake tries again, whatever failed before. */
  forgetFailures(): void {
    this.#life.forgetFailures();
  }

  /**
   * Puts it to sleep, unless it is used by the time its turn comes.
   * @param idleForMs how long it must have been idle then
   */
  sleep(tier: SleepTier, idleForMs: number): Promise<void> {
    return this.#lane.run(async () => {
      if (!this.#hasBeenIdleFor(idleForMs)) return;
      const observed = await this.#observeManaged();
      if (!observed) this.#life.absent();
      // A request may have come while the engine was asked.
      else if (this.#hasBeenIdleFor(idleForMs)) await this.#sleep[tier](observed);
    });
  }

  /** Stops the container once its requests are done, at most `drainTimeoutMs` later. */
  stop(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      if (observed) await this.#sleep.stop(observed);
      else this.#life.absent();
    });
  }

  /** Stops and removes the container. */
  remove(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.forgetFailures();
      if (observed) await this.#sleep.remove(observed);
      else this.#life.absent();
    });
  }

  /** A running container is replaced; anything else only forgets its failures, for it is made anew at its next start. */
  reconfigure(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.forgetFailures();
      if (observed?.state === 'running') await this.#replacement.replace(observed, this.#resolve());
    });
  }

  /**
   * Its tag means this image now: a container of another one is replaced if it runs, and left alone if it sleeps. If the new one
   * fails, the old serves on, and is what the next wakes bring back, until an operator asks for another try.
   * @throws PipesError why the new one failed
   */
  refresh(imageId: string): Promise<RefreshOutcome> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      if (observed?.state !== 'running' || !this.#life.run) return 'asleep';
      if (observed.imageId === imageId) return 'same';
      if (this.#life.rejected?.imageId === imageId) return 'rejected';
      try {
        await this.#replacement.replace(observed, this.#resolve());
      } catch (thrown) {
        const error = asPipesError(thrown);
        if (OWN_FAILURES.has(error.code)) this.#life.rejected = { imageId, error };
        throw error;
      }
      return 'replaced';
    });
  }

  /** Replaces the container whatever its state; makes one where there is none. */
  restart(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.forgetFailures();
      if (observed?.state === 'running') return this.#replacement.replace(observed, this.#resolve());
      this.#life.settle(observed);
      await this.#bringUp.anew(observed, this.#resolve());
    });
  }

  /** Its tag has moved to something that cannot even be pulled. What serves goes on, and the state says why. */
  reject(error: PipesError): void {
    this.#life.rejected = { imageId: undefined, error };
  }

  /** How it uses the tag that it was made from; undefined where no tag can move under it. */
  tagUse(): TagUse | undefined {
    const { status, target, run, rejected } = this.#life;
    if (status.name === 'absent' || this.isForeign) return undefined;
    const { imageRef, config } = target;
    if (imageRef.digest !== undefined || config.pull === 'never') return undefined;
    return { reference: this.reference, key: this.key, imageRef, state: status.name, imageId: run?.imageId, digest: run?.imageDigest, hasRejected: rejected !== undefined };
  }

  /** The image that must not go away now, as the engine is told it: it runs, or is about to be made. */
  get wantedImage(): string | undefined {
    return this.busy || this.status.name === 'running' || this.status.name === 'paused' ? printImageRef(this.#life.target.imageRef) : undefined;
  }

  /** @throws PipesError `not_managed` for a container that someone started by hand */
  assertManaged(): void {
    if (this.isForeign) throw new PipesError('not_managed', 'Someone started this container by hand, so pipes does not touch it. Stop it by hand, or label it pipes.ignore=true.');
  }

  /** How far its wake is, or why the last one failed. */
  get progress(): WakeProgress {
    return this.#life.progress(this.#wake !== undefined);
  }

  report(): InstanceReport {
    return this.#life.report();
  }

  /** However it ends, those who watch are told. */
  async #wakeUp(): Promise<Run> {
    this.#life.waking();
    for (;;) {
      const stretch = this.#parts.stretch();
      const isInterrupted = (): boolean => this.#parts.stretch() !== stretch;
      try {
        const run = await this.#comeUp();
        // An engine that went away or came back meanwhile may have given the address to another container.
        if (!isInterrupted()) return run;
      } catch (thrown) {
        if (thrown instanceof TagMoved) throw thrown;
        const error = asPipesError(thrown);
        const isBack = error.code === 'engine_unavailable' && isInterrupted() && this.#parts.isTold();
        if (isBack) continue;
        this.#life.notWoken(error);
        throw thrown;
      }
    }
  }

  async #comeUp(): Promise<Run> {
    const target = this.#resolve();
    const asked = this.#parts.stretch();
    const { run } = this.#life;
    const seen = await (run ? lookAtRun(run, { observe: () => this.#observe(), isTold: this.#parts.isTold(), acceptsBeforeReady: this.#parts.backend.acceptsBeforeReady }) : this.#observe());
    // What was removed meanwhile is gone, whatever the engine did not say.
    if (seen === NO_WORD && this.#life.run === run) return this.#life.stillServes();
    let observed = seen === NO_WORD ? undefined : seen;
    if (this.#life.confirm(observed, asked)) return this.#life.stillServes();
    // Somebody else's container that no longer runs is none of ours to start or remove.
    if (observed?.managed === false && observed.state !== 'running') observed = undefined;
    this.#life.settle(observed);
    this.#life.backoff.assertMayTry();
    return this.#bringUp.from(observed, target);
  }

  async #confirmDeath(containerId: string, byItself: boolean): Promise<boolean> {
    const { run } = this.#life;
    const asked = this.#parts.stretch();
    const observed = await this.#parts.backend.inspect(containerId);
    if (this.#life.confirm(observed, asked)) return false;
    const { pauseMs, stopMs } = this.#life.target.config.idle;
    const isWanted = run !== undefined && (run.inFlight > 0 || this.#parts.now() - run.lastUsedAtMs < Math.min(pauseMs, stopMs));
    if (observed && run?.managed !== false) this.#life.sinking('stopped', containerId);
    else this.#life.absent();
    if (!byItself || observed?.state !== 'exited' || run?.managed !== true) return false;
    const exitCode = observed.exitCode ?? null;
    this.#life.backoff.crashed(new PipesError('instance_failed', `The container exited with code ${exitCode ?? 'unknown'} while it served.`, { members: { exitCode } }));
    return isWanted && this.#life.backoff.mayTry;
  }

  #isUpIn(containerId: string): boolean {
    return this.containerId === containerId && (this.status.name === 'running' || this.status.name === 'paused');
  }

  #hasBeenIdleFor(idleForMs: number): boolean {
    const sinceMs = this.idleSinceMs;
    return sinceMs !== undefined && this.#parts.now() - sinceMs >= idleForMs && this.#wake === undefined;
  }

  /** What the engine shows of our container. @throws PipesError `not_managed` */
  async #observeManaged(): Promise<Observed | undefined> {
    this.assertManaged();
    return this.#observe();
  }

  /** What the engine shows. One that serves and that somebody paused goes on, for its requests are still open. */
  async #observe(): Promise<Observed | undefined> {
    const { backend } = this.#parts;
    const observed = this.containerId === undefined ? undefined : await backend.inspect(this.containerId);
    if (observed?.state !== 'paused' || !observed.managed || !this.#life.run) return observed;
    await backend.unpause(observed.id);
    return backend.inspect(observed.id);
  }

  #resolve(): ReturnType<InstanceParts['resolver']['resolve']> {
    return this.#parts.resolver.resolve(this.reference);
  }
}

/** Between two jobs; in all other states a job of ours is at work and finds out by itself. */
const SETTLED: ReadonlySet<string> = new Set(['running', 'paused', 'stopped', 'failed', 'absent']);

/** The promise's outcome, or the signal's reason if that comes first; the promise goes on for the others. */
function leave<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    void shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
