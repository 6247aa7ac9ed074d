import { PipesError } from '../core/errors.ts';
import { momentOf, timeOfDay } from '../core/steady-clock.ts';
import { printImageRef } from '../images/image-ref.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { Target } from '../targets/target.ts';
import type { Observed } from './backend.ts';
import { Backoff } from './backoff.ts';
import type { InstanceReport } from './instance-control.ts';
import type { InstanceParts } from './instance-parts.ts';
import { containerOf, MOVES, type InstanceStatus } from './instance-status.ts';
import { Run } from './run.ts';
import type { Live } from './starter.ts';
import type { Attempt } from './wake-attempt.ts';
import type { WakeProgress, WakeTiming } from './wake-progress.ts';

/** Told at each change of status, with the container before it. */
export type StatusListener = (containerBefore: string | undefined) => void;

/**
 * What is known of an instance: its status, the run that serves, whether that can be trusted, why the last attempt failed. The
 * one place that changes any of it, each change in one step, so whoever looks between two awaits sees a state that makes sense.
 */
export class InstanceLife {
  readonly reference: Reference;
  readonly key: string;
  readonly backoff: Backoff;
  lastWake: WakeTiming | undefined;
  /** The image that its tag had moved to and that failed here, so that it is not tried again by itself; without an id where it could not even be pulled. */
  rejected: { readonly imageId: string | undefined; readonly error: PipesError } | undefined;
  /** The container that could not be paused, and the stretch of the engine (`InstanceParts`) in which that was tried. */
  pauseFailed: { readonly containerId: string; readonly stretch: number } | undefined;
  readonly #parts: InstanceParts;
  readonly #onStatus: StatusListener;
  /** Runs whose readiness this process has seen; an adopted one is not among them. */
  readonly #ready = new WeakSet<Run>();
  #status: InstanceStatus = { name: 'absent' };
  #progress: WakeProgress = { phase: 'asleep' };
  #trusted = false;
  #lastUsedAtMs: number | undefined;

  constructor(reference: Reference, parts: InstanceParts, onStatus: StatusListener) {
    this.reference = reference;
    this.key = printReference(reference);
    this.backoff = new Backoff(parts.now);
    this.#parts = parts;
    this.#onStatus = onStatus;
  }

  get status(): InstanceStatus {
    return this.#status;
  }

  /** The run that requests go to. */
  get run(): Run | undefined {
    return this.#status.name === 'running' ? this.#status.run : undefined;
  }

  get containerId(): string | undefined {
    return containerOf(this.#status);
  }

  /** When it was used last, by the steady clock; undefined while it is in use, or if that is not known. */
  get idleSinceMs(): number | undefined {
    if (this.#status.name !== 'running') return this.#lastUsedAtMs;
    return this.#status.run.inFlight > 0 ? undefined : this.#status.run.lastUsedAtMs;
  }

  /**
   * How far it is.
   * @param isWaking a wake is under way, whether or not it has told a step yet
   */
  progress(isWaking: boolean): WakeProgress {
    if (isWaking) return UNDER_WAY.has(this.#progress.phase) ? this.#progress : FIRST_STEP;
    if (this.run) return { phase: 'ready' };
    const { error } = this.backoff;
    return this.#progress.phase === 'failed' && error ? { phase: 'failed', error } : this.#progress;
  }

  /** The target as it is configured now. */
  get target(): Target {
    return this.#parts.resolver.describe(this.reference);
  }

  /** The run, counted as in use, if its address may be used without asking the engine first. */
  tryLease(): Run | undefined {
    if (this.#status.name !== 'running' || !this.#trusted) return undefined;
    return this.#status.run.acquire();
  }

  /** What is known may be old: the engine is asked before the next use. */
  distrust(): void {
    this.#trusted = false;
  }

  /**
   * The engine was asked. True when it shows the very run that serves, whose readiness was seen: it may be used again.
   * @param asked the stretch in which it was asked (`InstanceParts`)
   */
  confirm(observed: Observed | undefined, asked: number): boolean {
    const { run } = this;
    if (!run || !observed || !run.isStill(observed) || !this.#ready.has(run)) return false;
    this.#trusted = this.#parts.isTold() && this.#parts.stretch() === asked;
    return true;
  }

  /** The next attempt may be made at once, whatever failed before, and who watches a failure hears that it is over. */
  forgetFailures(): void {
    this.backoff.clear();
    this.rejected = undefined;
    if (this.#progress.phase === 'failed') this.tell({ phase: 'asleep' });
  }

  /** Whether what was made from one image may go on while the tag means another. */
  mayKeep(present: string, tagged: string): boolean {
    return present === tagged || this.rejected?.imageId === tagged;
  }

  /** From here on requests go to this container, which that attempt has brought up. */
  serve(live: Live, attempt: Attempt): Run {
    this.#endRun();
    const run = new Run(live, this.#parts.now);
    this.#ready.add(run);
    this.backoff.succeeded();
    this.pauseFailed = undefined;
    this.#setStatus({ name: 'running', run });
    this.#trusted = this.#parts.isTold() && !attempt.isInterrupted();
    this.tell({ phase: 'ready' });
    return run;
  }

  /** A container that was found. One that runs is not trusted yet: the first request asks whether it is ready. */
  adopt(observed: Observed): void {
    // A list tells of a moment that has passed, so it ends no distrust; and what is still there was not used by being looked at.
    if (this.run?.isStill(observed)) return;
    this.#endRun();
    if (observed.state === 'running' && observed.upstream) {
      this.#setStatus({ name: 'running', run: new Run({ ...observed, upstream: observed.upstream }, this.#parts.now) });
      return;
    }
    this.#lastUsedAtMs ??= observed.finishedAt === undefined ? this.#parts.now() : momentOf(observed.finishedAt);
    this.settle(observed);
  }

  /**
   * Shows what the engine says of a container that does not run, whatever was thought of it before. What failed stays failed, also
   * without its container: whoever removes that by hand takes away neither the reason nor the time until the next try.
   */
  settle(observed: Observed | undefined): void {
    if (observed?.state === 'running') return;
    this.#endRun();
    const hasFailed = this.#status.name === 'failed';
    if (observed) this.#setStatus({ name: observed.state === 'paused' ? 'paused' : hasFailed ? 'failed' : 'stopped', containerId: observed.id });
    else this.#setStatus(hasFailed ? { name: 'failed', containerId: undefined } : { name: 'absent' });
  }

  /** It was taken away, by us or where nothing has to be remembered of it. */
  absent(): void {
    this.#endRun();
    this.#setStatus({ name: 'absent' });
  }

  starting(containerId: string): void {
    this.#endRun();
    this.#setStatus({ name: 'starting', containerId });
  }

  /** The run takes no more requests. Shown before it is done, so that a request which comes now waits for it in the lane. */
  sinking(to: 'paused' | 'stopping' | 'stopped', containerId: string): void {
    this.#endRun();
    this.#setStatus({ name: to, containerId });
  }

  /** Steps of an attempt that are states too. */
  show(progress: WakeProgress): void {
    const { containerId } = this;
    if (progress.phase === 'pulling') this.#setStatus({ name: 'pulling', layers: progress.layers, containerId });
    if (progress.phase === 'creating') this.#setStatus({ name: 'creating' });
    this.tell(progress);
  }

  /**
   * An attempt to come up ended badly.
   * @param isOwn the container or its image is to blame, so the next tries wait longer and longer
   * @returns the error, with the time until the next try
   */
  failed(error: PipesError, isOwn: boolean): PipesError {
    const { containerId } = this;
    this.#lastUsedAtMs = this.#parts.now();
    const shown = isOwn ? this.backoff.failed(error) : error;
    if (isOwn) this.#setStatus({ name: 'failed', containerId });
    else {
      this.backoff.note(error);
      this.#setStatus(containerId === undefined ? { name: 'absent' } : { name: 'stopped', containerId });
    }
    this.tell({ phase: 'failed', error: shown });
    return shown;
  }

  /** A wake began. */
  waking(): void {
    this.tell(FIRST_STEP);
  }

  /** A wake found that nothing had to be done. Only while it serves. */
  stillServes(): Run {
    this.tell({ phase: 'ready' });
    return this.run!;
  }

  /** A wake ended badly, wherever. */
  notWoken(error: PipesError): void {
    if (this.#progress.phase !== 'failed' || this.#progress.error !== error) this.tell({ phase: 'failed', error });
  }

  tell(progress: WakeProgress): void {
    this.#progress = progress;
    this.#parts.onProgress(this.key, progress);
  }

  report(): InstanceReport {
    const { run } = this;
    const lastUsedAtMs = run?.lastUsedAtMs ?? this.#lastUsedAtMs;
    return {
      reference: this.key,
      image: printImageRef(this.target.imageRef),
      digest: run?.imageDigest ?? null,
      state: this.#status.name,
      containerId: this.containerId ?? null,
      managed: run?.managed ?? true,
      startedAt: run?.startedAt ?? null,
      lastUsedAt: lastUsedAtMs === undefined ? null : timeOfDay(lastUsedAtMs),
      inFlight: run?.inFlight ?? 0,
      upstream: run?.upstream ?? null,
      error: this.backoff.error ?? this.rejected?.error ?? null,
      lastWake: this.lastWake ?? null,
    };
  }

  #endRun(): void {
    this.#trusted = false;
    const { run } = this;
    if (!run || run.ended) return;
    run.end();
    this.#lastUsedAtMs = run.lastUsedAtMs;
    if (this.#parts.now() - run.servesSinceMs >= STABLE_AFTER_MS) this.backoff.forgive();
    this.#parts.onEnded(run);
  }

  #setStatus(next: InstanceStatus): void {
    const before = this.#status;
    if (before.name !== next.name && !MOVES[before.name].includes(next.name)) {
      this.#parts.log.error({ ref: this.key, from: before.name, to: next.name }, 'an instance made a move that no life makes');
    }
    this.#status = next;
    if (ASLEEP.has(next.name)) this.#progress = { phase: 'asleep' };
    this.#onStatus(containerOf(before));
  }
}

/** A container that served this long and then dies is no crash loop. */
const STABLE_AFTER_MS = 60_000;

/** Until something better can be told. */
const FIRST_STEP: WakeProgress = { phase: 'queued', ahead: 0, forPull: true };

const UNDER_WAY: ReadonlySet<string> = new Set(['queued', 'pulling', 'creating', 'starting', 'probing']);

const ASLEEP: ReadonlySet<string> = new Set(['absent', 'paused', 'stopped']);
