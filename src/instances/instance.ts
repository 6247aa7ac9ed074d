import type { BoundedQueue } from '../core/bounded-queue.ts';
import { asPipesError, PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { printImageRef, type ImageRef } from '../images/image-ref.ts';
import type { LocalImage, PullListener } from '../images/image-store.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { TargetResolver } from '../targets/target-resolver.ts';
import type { Target } from '../targets/target.ts';
import type { Backend, Observed, RunSpec } from './backend.ts';
import { Backoff } from './backoff.ts';
import { configHash } from './config-hash.ts';
import type { InstanceReport } from './instance-control.ts';
import { containerOf, MOVES, type InstanceStatus } from './instance-status.ts';
import { Lane } from './lane.ts';
import { Run } from './run.ts';
import { servingPort } from './serving-port.ts';
import type { Live, Starter } from './starter.ts';

/** Brings images in; `ImageSupply` does it. */
export interface ImageSource {
  ensure(
    ref: ImageRef,
    policy: 'missing' | 'always' | 'never',
    options: { listener?: PullListener; signal: AbortSignal },
  ): Promise<{ readonly ref: ImageRef; readonly image: LocalImage }>;
}

export interface InstanceParts {
  readonly backend: Backend;
  readonly images: ImageSource;
  readonly starter: Starter;
  readonly startQueue: BoundedQueue;
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
}

/** Thrown by a wake that found the tag to be written otherwise: the instance of that reference is the one that is meant. */
export class TagMoved extends Error {
  readonly reference: Reference;

  constructor(reference: Reference) {
    super(`the tag is ${reference.tag}`);
    this.reference = reference;
  }
}

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
  readonly #listeners = new Set<(status: InstanceStatus) => void>();
  #status: InstanceStatus = { name: 'absent' };
  /** Whether the address may be used without asking the engine first. */
  #trusted = false;
  #wake: Promise<Run> | undefined;

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

  /** The warm path: the run, counted as in use, if it can be used as it is; no promise, no engine. Pair with `release`. */
  tryLease(): Run | undefined {
    if (this.#status.name !== 'running' || !this.#trusted) return undefined;
    return this.#status.run.acquire();
  }

  /** True when a request has to start something: it is neither up nor on its way up. */
  get isCold(): boolean {
    return this.#wake === undefined && this.#status.name !== 'running';
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
        this.#trusted = this.#parts.isTold();
        return;
      }
      if (current) this.#end(current);
      // Not trusted yet: the first request asks whether it is ready, which only this process can have known.
      this.#setRun({ ...observed, upstream: observed.upstream }, undefined);
      this.#trusted = false;
      return;
    }
    this.#endRun();
    this.#setStatus({ name: observed.state === 'paused' ? 'paused' : 'stopped', containerId: observed.id });
  }

  /** The engine says that this container died. Nothing more is sent to it. */
  noticeDied(containerId: string): void {
    if (containerOf(this.#status) !== containerId) return;
    if (this.#status.name !== 'running' && this.#status.name !== 'paused') return;
    const managed = this.#status.name === 'paused' || this.#status.run.managed;
    this.#endRun();
    this.#setStatus(managed ? { name: 'stopped', containerId } : { name: 'absent' });
  }

  /** The engine says that this container is gone. */
  noticeRemoved(containerId: string): void {
    if (containerOf(this.#status) !== containerId || !SETTLED.has(this.#status.name)) return;
    this.#endRun();
    this.#setStatus({ name: 'absent' });
  }

  /** What is known may be old, or a request failed at the address: ask the engine before the next use. */
  distrust(): void {
    this.#trusted = false;
  }

  /** The next wake tries again, whatever failed before. */
  forgetFailures(): void {
    this.#backoff.clear();
  }

  /** Stops the container once its requests are done, at most `drainTimeoutMs` later. */
  stop(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      if (observed) await this.#stopContainer(observed);
    });
  }

  /** Stops and removes the container. */
  remove(): Promise<void> {
    return this.#lane.run(async () => {
      const observed = await this.#observeManaged();
      this.#backoff.clear();
      if (!observed) { this.#setStatus({ name: 'absent' }); return; }
      await this.#stopContainer(observed);
      await this.#parts.backend.remove(observed.id);
      this.#setStatus({ name: 'absent' });
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
      const target = this.#parts.resolver.resolve(this.reference);
      await this.#recording(async () => {
        const spec = await this.#specFor(target);
        if (observed) await this.#parts.backend.remove(observed.id);
        await this.#create(spec, target);
      });
    });
  }

  /** @throws PipesError `not_managed` for a container that someone started by hand */
  assertManaged(): void {
    if (this.#status.name === 'running' && !this.#status.run.managed) throw notManaged();
  }

  /** Called at each change of status until the returned function is called. */
  watch(listener: (status: InstanceStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  report(): InstanceReport {
    const run = this.#status.name === 'running' ? this.#status.run : undefined;
    return {
      reference: this.key,
      image: printImageRef(this.#parts.resolver.describe(this.reference).imageRef),
      digest: run?.imageDigest ?? null,
      state: this.#status.name,
      containerId: containerOf(this.#status) ?? null,
      managed: run?.managed ?? true,
      startedAt: run?.startedAt ?? null,
      lastUsedAt: this.#lastUsedAtMs === undefined && !run ? null : new Date(run?.lastUsedAtMs ?? this.#lastUsedAtMs!),
      inFlight: run?.inFlight ?? 0,
      upstream: run?.upstream ?? null,
      error: this.#backoff.error ?? null,
    };
  }

  #lastUsedAtMs: number | undefined;

  async #bringUp(): Promise<Run> {
    const target = this.#parts.resolver.resolve(this.reference);
    const known = containerOf(this.#status);
    let observed: Observed | undefined;
    try {
      observed = known === undefined ? undefined : await this.#parts.backend.inspect(known);
    } catch (thrown) {
      // Warm targets go on being served while the engine is away (INTERFACE 3); its return makes us ask again.
      if (this.#status.name === 'running' && asPipesError(thrown).code === 'engine_unavailable') return this.#status.run;
      throw thrown;
    }
    if (observed?.state === 'running' && this.#status.name === 'running' && this.#status.run.isStill(observed) && this.#ready.has(this.#status.run)) {
      this.#trusted = this.#parts.isTold();
      return this.#status.run;
    }
    // Somebody else's container that no longer runs is none of ours to start or remove.
    if (observed?.managed === false && observed.state !== 'running') observed = undefined;
    if (known !== undefined && !observed) {
      this.#endRun();
      this.#setStatus({ name: 'absent' });
    }
    this.#backoff.assertMayTry();
    return this.#recording(() => this.#startFrom(observed, target));
  }

  /** Runs whose readiness this process has seen; an adopted one is not among them. */
  readonly #ready = new WeakSet<Run>();

  async #startFrom(observed: Observed | undefined, target: Target): Promise<Run> {
    if (observed?.state === 'running') return this.#begin(observed.id, target, 'wait');
    if (observed) this.#endRun();
    if (!observed) {
      const foreign = this.#parts.adoptForeign ? await this.#parts.backend.findForeign(this.reference, target.imageRef, target.config.port) : undefined;
      if (foreign) return this.#beginForeign(foreign.id, target);
    }
    const spec = await this.#specFor(target).catch((thrown: unknown) => {
      // What ran before can run again without its registry, as long as nobody asked for anything else since.
      if (observed && REUSABLE_WITHOUT_IMAGE.has(asPipesError(thrown).code)) return undefined;
      throw thrown;
    });
    const isCurrent = spec === undefined || (observed?.configHash === spec.configHash && observed.imageId === spec.image.id);
    if (observed && isCurrent) {
      return this.#parts.startQueue.run(() => this.#wakeContainer(observed, target, spec?.image), { signal: this.#parts.closing });
    }
    if (observed) await this.#parts.backend.remove(observed.id);
    return this.#create(spec!, target);
  }

  async #beginForeign(containerId: string, target: Target): Promise<Run> {
    try {
      return await this.#begin(containerId, target, 'wait');
    } catch (thrown) {
      this.#setStatus({ name: 'absent' });
      throw thrown;
    }
  }

  async #wakeContainer(observed: Observed, target: Target, image: LocalImage | undefined): Promise<Run> {
    if (observed.state !== 'paused') return this.#begin(observed.id, target, 'start', image);
    await this.#parts.backend.unpause(observed.id);
    return this.#begin(observed.id, target, 'wait', image);
  }

  #create(spec: RunSpec, target: Target): Promise<Run> {
    return this.#parts.startQueue.run(
      async () => {
        this.#setStatus({ name: 'creating' });
        const id = await this.#parts.backend.create(spec);
        return this.#begin(id, target, 'start', spec.image);
      },
      { signal: this.#parts.closing },
    );
  }

  async #begin(containerId: string, target: Target, how: 'start' | 'wait', image?: LocalImage): Promise<Run> {
    this.#endRun();
    this.#setStatus({ name: 'starting', containerId });
    const live = await this.#parts.starter.begin(containerId, target, how, this.#parts.closing);
    const run = this.#setRun(live, image?.digest);
    this.#ready.add(run);
    this.#trusted = this.#parts.isTold();
    return run;
  }

  /** Image, port and hash, all that a container is made from. Shows `pulling` while bytes come in. */
  async #specFor(target: Target): Promise<RunSpec> {
    const containerId = containerOf(this.#status);
    const listener: PullListener = (layers) => {
      if (this.#status.name !== 'running') this.#setStatus({ name: 'pulling', layers, containerId });
    };
    const { ref, image } = await this.#parts.images.ensure(target.imageRef, target.config.pull, { listener, signal: this.#parts.closing });
    if (ref.tag !== target.imageRef.tag && target.config.image === undefined) throw new TagMoved({ ...this.reference, tag: ref.tag });
    const port = servingPort(target.config.port, image.exposedPorts);
    return { reference: this.reference, imageRef: ref, image, config: target.config, port, configHash: configHash(ref, port, target.config) };
  }

  /** New beside old, or old first where two at once would do harm. If the new one fails, the old serves on. */
  async #replace(old: Observed): Promise<void> {
    const target = this.#parts.resolver.resolve(this.reference);
    try {
      const spec = await this.#specFor(target);
      await (target.config.replace === 'stop-first' ? this.#replaceStopFirst(old, spec, target) : this.#replaceOverlapping(old, spec, target));
      this.#backoff.clear();
    } catch (thrown) {
      this.#backoff.note(asPipesError(thrown));
      throw thrown;
    }
  }

  async #replaceOverlapping(old: Observed, spec: RunSpec, target: Target): Promise<void> {
    const { backend, startQueue, starter, closing } = this.#parts;
    const live = await startQueue.run(
      async () => {
        const id = await backend.create(spec);
        try {
          return await starter.begin(id, target, 'start', closing);
        } catch (thrown) {
          await backend.remove(id);
          throw thrown;
        }
      },
      { signal: closing },
    );
    const oldRun = this.#status.name === 'running' ? this.#status.run : undefined;
    if (oldRun) this.#end(oldRun);
    this.#ready.add(this.#setRun(live, spec.image.digest));
    this.#trusted = this.#parts.isTold();
    this.#parts.onRetire(old.id, this.#retire(old.id, oldRun));
  }

  async #replaceStopFirst(old: Observed, spec: RunSpec, target: Target): Promise<void> {
    await this.#stopContainer(old);
    let created: string | undefined;
    try {
      await this.#parts.startQueue.run(
        async () => {
          this.#setStatus({ name: 'creating' });
          created = await this.#parts.backend.create(spec);
          await this.#begin(created, target, 'start', spec.image);
        },
        { signal: this.#parts.closing },
      );
    } catch (thrown) {
      if (created !== undefined) await this.#parts.backend.remove(created);
      this.#setStatus({ name: 'stopped', containerId: old.id });
      await this.#begin(old.id, target, 'start');
      throw thrown;
    }
    await this.#parts.backend.remove(old.id);
  }

  async #retire(containerId: string, run: Run | undefined): Promise<void> {
    const { backend, drainTimeoutMs, stopGraceS, log } = this.#parts;
    try {
      await run?.drained(drainTimeoutMs);
      await backend.stop(containerId, stopGraceS);
      await backend.remove(containerId);
    } catch (thrown) {
      log.warn({ reference: this.key, container: containerId, err: thrown }, 'a replaced container could not be removed; the next start of pipes tries again');
    }
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

  /** What the engine shows of our container. @throws PipesError `not_managed` */
  async #observeManaged(): Promise<Observed | undefined> {
    this.assertManaged();
    const known = containerOf(this.#status);
    return known === undefined ? undefined : this.#parts.backend.inspect(known);
  }

  /** Keeps why an attempt failed, and settles the status that it left in the middle. */
  async #recording<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      const result = await attempt();
      this.#backoff.clear();
      return result;
    } catch (thrown) {
      if (thrown instanceof TagMoved) {
        this.#setStatus({ name: 'absent' });
        throw thrown;
      }
      const error = asPipesError(thrown);
      const containerId = containerOf(this.#status);
      if (!OWN_FAILURES.has(error.code)) {
        this.#backoff.note(error);
        this.#setStatus(containerId === undefined ? { name: 'absent' } : { name: 'stopped', containerId });
        throw error;
      }
      if (error.code === 'instance_not_ready' && containerId !== undefined) await this.#stopUnready(containerId);
      const timed = this.#backoff.failed(error);
      this.#setStatus({ name: 'failed', containerId });
      throw timed;
    }
  }

  async #stopUnready(containerId: string): Promise<void> {
    const observed = await this.#parts.backend.inspect(containerId).catch(() => undefined);
    if (observed?.managed !== true) return;
    await this.#parts.backend.stop(containerId, 1).catch((thrown: unknown) => this.#parts.log.warn({ reference: this.key, err: thrown }, 'could not stop a container that did not get ready'));
  }

  #setRun(live: Live, digest: string | undefined): Run {
    const run = new Run(live, digest, this.#parts.now());
    this.#setStatus({ name: 'running', run });
    return run;
  }

  #endRun(): void {
    this.#trusted = false;
    if (this.#status.name !== 'running') return;
    this.#end(this.#status.run);
  }

  #end(run: Run): void {
    run.end();
    this.#lastUsedAtMs = run.lastUsedAtMs;
    this.#parts.onEnded(run);
  }

  #setStatus(next: InstanceStatus): void {
    const before = this.#status;
    if (before.name !== next.name && !MOVES[before.name].includes(next.name)) {
      this.#parts.log.error({ reference: this.key, from: before.name, to: next.name }, 'an instance made a move that no life makes');
    }
    this.#status = next;
    this.#parts.onStatus(this, containerOf(before));
    for (const listener of this.#listeners) listener(next);
  }
}

/** Between two jobs; in all other states a job of ours is at work and finds out by itself. */
const SETTLED: ReadonlySet<string> = new Set(['running', 'paused', 'stopped', 'failed']);

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
    shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
