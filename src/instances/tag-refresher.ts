import { BoundedQueue } from '../core/bounded-queue.ts';
import { asPipesError, PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { ImageRef } from '../images/image-ref.ts';
import type { LocalImage } from '../images/image-store.ts';
import { FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS } from './backoff.ts';
import { OWN_FAILURES } from './bring-up.ts';
import type { RefreshOutcome } from './instance.ts';
import type { TagUse } from './tag-use.ts';

/** What a tag stands for, here and in its registry; `ImageSupply` knows it. */
export interface TagImages {
  local(ref: ImageRef): Promise<LocalImage | undefined>;
  /** @throws PipesError `image_not_found`, `registry_denied`, `registry_unavailable` */
  latestDigest(ref: ImageRef, signal: AbortSignal): Promise<string>;
  /** Pulls what the tag stands for now. Throws as `ImageSupply.ensure`. */
  refresh(ref: ImageRef, signal: AbortSignal): Promise<LocalImage>;
}

/** The instances whose tags may move; `InstanceTable` has them. */
export interface RefreshableInstances {
  tagUses(): TagUse[];
  tagUse(key: string): TagUse | undefined;
  /** Has it run this image, if it runs. @throws PipesError why the new one failed, while the old one serves on */
  refresh(key: string, imageId: string): Promise<RefreshOutcome>;
  /** Its tag has moved to something that cannot even be pulled; its state is to say so. */
  reject(key: string, error: PipesError): void;
  forgetFailures(key: string): void;
}

export interface TagRefresherOptions {
  readonly instances: RefreshableInstances;
  readonly images: TagImages;
  readonly log: Log;
  /** `PULL_REFRESH`; Infinity: tags are compared only when somebody tells that they moved. */
  readonly everyMs: number;
}

/** What is told of a push. */
export interface Push {
  /** As `ImageRef` has it. */
  readonly repository: string;
  readonly tag: string;
  readonly digest?: string | undefined;
}

/** What a push means for those that use its tag. */
export interface PushEffect {
  /** Compared with the registry now, and replaced where their tag has moved. */
  readonly refreshing: string[];
  /** Asleep: compared right after their next wake. */
  readonly atNextWake: string[];
}

/**
 * Brings moved tags to the instances that use them. A tag is compared with its registry by digest, which pulls nothing; only one
 * that differs is pulled, and only another image makes a replacement: new beside old, as `restart` does it.
 *
 * Nobody is woken for it. What is paused gets its image pulled, and is replaced right after its next wake, beside its serving;
 * what is stopped is compared right after its next wake. An image that failed is not tried again until its digest changes or
 * an operator acts; what failed for any other reason (registry, engine, queue) is tried again, after longer and longer.
 */
export class TagRefresher {
  readonly #options: TagRefresherOptions;
  readonly #queue = new BoundedQueue({ name: 'comparisons of tags', concurrency: CONCURRENCY, waitingLimit: Infinity });
  readonly #closing = new AbortController();
  readonly #work = new Map<string, Work>();
  /** By key; entries leave when their instance does. */
  readonly #memory = new Map<string, Memory>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TagRefresherOptions) {
    this.#options = options;
  }

  start(): void {
    if (Number.isFinite(this.#options.everyMs)) this.#schedule();
  }

  /** Ends what waits; a replacement under way ends with its table. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    for (const memory of this.#memory.values()) clearTimeout(memory.retry);
    this.#closing.abort(new PipesError('shutting_down', 'pipes is stopping.'));
    await Promise.all([...this.#work.values()].map(({ ended }) => ended));
  }

  /**
   * Somebody says that this tag of this repository was pushed. It is asked for, never believed.
   * @param push with the digest that was told, if one was: registries tell of a push before its tag is set (Docker's does), so
   *   while they show another digest they are asked again a few times
   * @param mayTouch whether the teller may have this `user/repo:tag` replaced
   */
  notePush({ repository, tag, digest }: Push, mayTouch: (use: TagUse) => boolean): PushEffect {
    const effect: PushEffect = { refreshing: [], atNextWake: [] };
    for (const use of this.#uses()) {
      if (use.imageRef.repository !== repository || use.imageRef.tag !== tag || !mayTouch(use)) continue;
      if (IN_USE.has(use.state)) {
        effect.refreshing.push(use.key);
        Object.assign(this.#remember(use.key), { toldDigest: digest, looksLeft: LOOKS_MS.length });
        this.#compareSoon(use.key);
      } else {
        effect.atNextWake.push(use.key);
        this.#remember(use.key).isDueAtWake = true;
      }
    }
    return effect;
  }

  /** An instance has come up. */
  noteWoken(key: string, from: string): void {
    if (this.#memory.get(key)?.isDueAtWake === true) this.#compareSoon(key);
    // Its image may have been pulled while it was paused, by us or by hand.
    else if (from === 'paused' && !this.#work.has(key)) this.#inTurn(key, () => this.#catchUp(key));
  }

  #schedule(): void {
    // Many pipes that were started at once must not ask their registry at once for ever.
    const jitter = 1 - JITTER + 2 * JITTER * Math.random();
    this.#timer = setTimeout(() => this.#sweep(), Math.min(this.#options.everyMs * jitter, LONGEST_TIMER_MS));
    this.#timer.unref();
  }

  #sweep(): void {
    for (const { key, state } of this.#uses()) {
      if (!IN_USE.has(state)) this.#remember(key).isDueAtWake = true;
      else if (this.#memory.get(key)?.retry === undefined) this.#compareSoon(key);
    }
    this.#schedule();
  }

  /** All there are; of others nothing is remembered. */
  #uses(): TagUse[] {
    const uses = this.#options.instances.tagUses();
    const keys = new Set(uses.map(({ key }) => key));
    for (const key of this.#memory.keys()) if (!keys.has(key)) this.#forget(key);
    return uses;
  }

  #compareSoon(key: string): void {
    clearTimeout(this.#memory.get(key)?.retry);
    this.#inTurn(key, async () => {
      try {
        const digest = await this.#compare(key);
        const memory = this.#memory.get(key);
        if (!memory) return;
        Object.assign(memory, { failures: 0, retry: undefined });
        this.#lookAgain(key, memory, digest);
      } catch (thrown) {
        this.#failed(key, asPipesError(thrown));
      }
    });
  }

  /** One thing at a time for each instance; what is asked for meanwhile is done once more after it. Never rejects. */
  #inTurn(key: string, job: () => Promise<void>): void {
    if (this.#closing.signal.aborted) return;
    const present = this.#work.get(key);
    if (present) {
      present.next = job;
      return;
    }
    const work: Work = { ended: Promise.resolve(), next: undefined };
    this.#work.set(key, work);
    work.ended = this.#queue
      .run(job, { signal: this.#closing.signal })
      .catch((thrown: unknown) => {
        if (!this.#closing.signal.aborted) this.#options.log.error({ ref: key, err: thrown }, 'a tag could not be compared');
      })
      .finally(() => {
        this.#work.delete(key);
        if (work.next) this.#inTurn(key, work.next);
      });
  }

  /** What was told may be true a moment later. */
  #lookAgain(key: string, memory: Memory, digest: string | undefined): void {
    if (memory.toldDigest !== undefined && digest === memory.toldDigest) memory.looksLeft = 0;
    if (memory.looksLeft === 0 || this.#closing.signal.aborted) return;
    memory.retry = setTimeout(() => this.#compareSoon(key), LOOKS_MS.at(-memory.looksLeft));
    memory.retry.unref();
    memory.looksLeft -= 1;
  }

  /** Gives the digest that the registry showed. */
  async #compare(key: string): Promise<string | undefined> {
    const { instances, images, log } = this.#options;
    const use = instances.tagUse(key);
    if (!use) {
      this.#forget(key);
      return undefined;
    }
    const memory = this.#remember(key);
    const digest = await images.latestDigest(use.imageRef, this.#closing.signal);
    if (digest === memory.refusedDigest && use.hasRejected) return digest;
    // With an image that was refused the name here means that one, also when the tag has gone back to what runs.
    if (!use.hasRejected && digest === (await this.#knownDigest(use, memory))) {
      if (use.state === 'running') memory.isDueAtWake = false;
      return digest;
    }
    memory.refusedDigest = digest;
    const image = await this.#pull(use);
    if (use.state === 'failed') {
      log.info({ ref: key, digest }, 'the tag of a failed instance has moved; the next request tries the new image');
      instances.forgetFailures(key);
      memory.isDueAtWake = false;
      return digest;
    }
    const outcome = await instances.refresh(key, image.id);
    if (outcome !== 'rejected') memory.refusedDigest = undefined;
    memory.isDueAtWake = outcome === 'asleep';
    if (outcome === 'same') memory.settled = { digest, imageId: image.id };
    if (outcome === 'same' && use.hasRejected) instances.forgetFailures(key);
    if (outcome === 'replaced') log.info({ ref: key, digest }, 'its tag has moved; the new image serves');
    return digest;
  }

  /** An image that the engine cannot take at all has failed as one that does not start. */
  async #pull(use: TagUse): Promise<LocalImage> {
    try {
      return await this.#options.images.refresh(use.imageRef, this.#closing.signal);
    } catch (thrown) {
      const error = asPipesError(thrown);
      if (OWN_FAILURES.has(error.code)) this.#options.instances.reject(use.key, error);
      throw error;
    }
  }

  /** What it runs may be older than what lies here by its name; the registry is not asked. */
  async #catchUp(key: string): Promise<void> {
    const { instances, images, log } = this.#options;
    const use = instances.tagUse(key);
    if (use?.imageId === undefined) return;
    try {
      const image = await images.local(use.imageRef);
      if (image && image.id !== use.imageId && (await instances.refresh(key, image.id)) === 'replaced') log.info({ ref: key }, 'its tag had moved while it slept; the new image serves');
    } catch (thrown) {
      this.#failed(key, asPipesError(thrown));
    }
  }

  /** The digest of what it runs, or of what its next start would run. */
  async #knownDigest(use: TagUse, { settled }: Memory): Promise<string | undefined> {
    // One image may have several digests; the one that was found to mean this image is known as well as its label.
    if (settled !== undefined && settled.imageId === use.imageId) return settled.digest;
    if (use.digest !== undefined) return use.digest;
    const local = await this.#options.images.local(use.imageRef);
    return use.imageId === undefined || use.imageId === local?.id ? local?.digest : undefined;
  }

  #failed(key: string, error: PipesError): void {
    if (this.#closing.signal.aborted) return;
    const { log } = this.#options;
    const memory = this.#remember(key);
    memory.retry = undefined;
    if (OWN_FAILURES.has(error.code)) {
      log.warn({ ref: key, code: error.code }, `its tag has moved to an image that fails here, so the old one serves on: ${error.message}`);
      return;
    }
    memory.refusedDigest = undefined;
    // A tag that is only here, or was taken out of the registry: the next sweep or push asks again.
    if (error.code === 'image_not_found') return;
    const delayMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** memory.failures);
    memory.failures += 1;
    log.warn({ ref: key, code: error.code, retryAfterMs: delayMs }, `its tag could not be compared with the registry, or not be brought here: ${error.message}`);
    memory.retry = setTimeout(() => this.#compareSoon(key), delayMs);
    memory.retry.unref();
  }

  #remember(key: string): Memory {
    let memory = this.#memory.get(key);
    if (!memory) this.#memory.set(key, (memory = { failures: 0, retry: undefined, refusedDigest: undefined, settled: undefined, isDueAtWake: false, toldDigest: undefined, looksLeft: 0 }));
    return memory;
  }

  #forget(key: string): void {
    clearTimeout(this.#memory.get(key)?.retry);
    this.#memory.delete(key);
  }
}

interface Work {
  ended: Promise<void>;
  next: (() => Promise<void>) | undefined;
}

interface Memory {
  /** In a row, of the registry, the engine or the queue. */
  failures: number;
  retry: NodeJS.Timeout | undefined;
  /** What the tag moved to when the new image failed. */
  refusedDigest: string | undefined;
  /** A digest that was pulled and turned out to be the image that runs. */
  settled: { readonly digest: string; readonly imageId: string } | undefined;
  isDueAtWake: boolean;
  /** Of the last push that was told. */
  toldDigest: string | undefined;
  /** How often the registry is asked again, while it does not show that. */
  looksLeft: number;
}

/** Comparisons, and the replacements that follow, at the same time. */
const CONCURRENCY = 4;

/** When a registry is asked again that does not show yet what it told. */
const LOOKS_MS: readonly number[] = [300, 2_000, 10_000];

/** Part of the period by which each sweep comes earlier or later. */
const JITTER = 0.1;

/** What fails is asked for: with a new image it may come up. */
const IN_USE: ReadonlySet<string> = new Set(['running', 'paused', 'failed']);
