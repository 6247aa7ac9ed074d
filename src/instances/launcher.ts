import type { BoundedQueue } from '../core/bounded-queue.ts';
import type { ImageRef } from '../images/image-ref.ts';
import type { LocalImage, PullListener } from '../images/image-store.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { Backend, Observed, RunSpec } from './backend.ts';
import { configHash } from './config-hash.ts';
import { servingPort } from './serving-port.ts';
import type { Live, Starter } from './starter.ts';
import type { Attempt } from './wake-attempt.ts';

/** Brings images in; `ImageSupply` does it. */
export interface ImageSource {
  ensure(
    ref: ImageRef,
    policy: 'missing' | 'always' | 'never',
    options: { listener?: PullListener; onPosition?: (ahead: number) => void; signal: AbortSignal },
  ): Promise<{ readonly ref: ImageRef; readonly image: LocalImage }>;
  /** Whether it is remembered that there is no such image, so that asking for it costs nothing. */
  isKnownMissing(ref: ImageRef): boolean;
}

export interface LauncherOptions {
  readonly backend: Backend;
  readonly images: ImageSource;
  readonly starter: Starter;
  /** Where containers wait for their turn to be made and started. */
  readonly startQueue: BoundedQueue;
  /** Resolves when this target may run, with what to call once it does or has failed. @throws PipesError `queue_full` */
  readonly makeRoom: (key: string, signal: AbortSignal) => Promise<() => void>;
}

/** Thrown when the tag turns out to be written otherwise: the instance of that reference is the one that is meant. */
export class TagMoved extends Error {
  readonly reference: Reference;

  constructor(reference: Reference) {
    super(`the tag is ${reference.tag}`);
    this.reference = reference;
  }
}

/** Makes, starts and resumes containers, in their turn. Knows nothing of what they replace. */
export class Launcher {
  readonly #options: LauncherOptions;

  constructor(options: LauncherOptions) {
    this.#options = options;
  }

  /**
   * Image, port and hash: all that a container is made from. Pulls where needed.
   * @throws PipesError of the image, or `TagMoved`
   */
  async specFor({ reference, target, signal, onProgress, timing }: Attempt): Promise<RunSpec> {
    const { config } = target;
    const startedMs = performance.now();
    let isOver = false;
    const listener: PullListener = (layers) => {
      if (!isOver) onProgress({ phase: 'pulling', layers });
    };
    const onPosition = (ahead: number): void => {
      if (!isOver) onProgress({ phase: 'queued', ahead, forPull: true });
    };
    try {
      const { ref, image } = await this.#options.images.ensure(target.imageRef, config.pull, { listener, onPosition, signal });
      if (ref.tag !== target.imageRef.tag && config.image === undefined) throw new TagMoved({ ...reference, tag: ref.tag });
      return { reference, imageRef: ref, image, config, port: servingPort(config.port, image.exposedPorts), configHash: configHash(ref, config) };
    } finally {
      isOver = true;
      timing.pullMs += performance.now() - startedMs;
    }
  }

  /** A new container, started and ready. One that does not get there is left to `onCreated`'s listener. */
  async create(spec: RunSpec, attempt: Attempt): Promise<Live> {
    return this.#inTurn(attempt, async () => {
      attempt.onProgress({ phase: 'creating' });
      const startedMs = performance.now();
      const id = await this.#options.backend.create(spec);
      attempt.timing.createMs += performance.now() - startedMs;
      attempt.onCreated(id);
      return this.#options.starter.begin(id, attempt, 'start');
    });
  }

  /** A container that sleeps, up again. */
  async resume(observed: Observed, attempt: Attempt): Promise<Live> {
    if (observed.state === 'paused') {
      // It answers at once, so it does not queue behind those that have to start.
      return this.#withRoom(attempt, async () => {
        const startedMs = performance.now();
        const wasPaused = await this.#options.backend.unpause(observed.id);
        attempt.timing.startMs += performance.now() - startedMs;
        // Its address stays through a pause, and it served before: there is nothing to look at or to wait for.
        const { upstream } = observed;
        if (wasPaused && upstream) return { ...observed, state: 'running', upstream };
        // Somebody woke or ended it since it was looked at, so it may have another address by now.
        return this.#options.starter.begin(observed.id, attempt, 'start');
      });
    }
    return this.#inTurn(attempt, () => this.#options.starter.begin(observed.id, attempt, 'start'));
  }

  /** A container that runs already: only waits until it is ready. */
  attach(containerId: string, attempt: Attempt): Promise<Live> {
    return this.#options.starter.begin(containerId, attempt, 'wait');
  }

  #inTurn<T>(attempt: Attempt, job: () => Promise<T>): Promise<T> {
    const onPosition = (ahead: number): void => attempt.onProgress({ phase: 'queued', ahead });
    return this.#options.startQueue.run(() => this.#withRoom(attempt, job), { signal: attempt.signal, onPosition });
  }

  async #withRoom<T>(attempt: Attempt, job: () => Promise<T>): Promise<T> {
    const done = await this.#options.makeRoom(printReference(attempt.reference), attempt.signal);
    try {
      return await job();
    } finally {
      done();
    }
  }
}
