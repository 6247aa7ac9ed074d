import type { BoundedQueue } from '../core/bounded-queue.ts';
import { PipesError, asPipesError } from '../core/errors.ts';
import { SingleFlight } from '../core/single-flight.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import { steadyMs } from '../core/steady-clock.ts';
import { printImageRef, type ImageRef } from './image-ref.ts';
import type { ImageStore, LayerProgress, LocalImage, PullListener } from './image-store.ts';
import { MissingImages } from './missing-images.ts';
import type { RegistryLookup } from './registry-client.ts';
import type { RegistryLogin } from './registry-logins.ts';
import { caseVariants } from './tag-case.ts';

/** `missing`: pull what is not here. `always`: ask the registry each time. `never`: only what is here. */
export type PullPolicy = 'missing' | 'always' | 'never';

export interface ImageSupplyOptions {
  readonly store: ImageStore;
  readonly registry: RegistryLookup;
  readonly logins: { loginFor(registry: string): Promise<RegistryLogin | undefined> };
  /** Where pulls wait for their turn. */
  readonly queue: BoundedQueue;
  /** Of one pull, without its time in the queue; Infinity for none. */
  readonly pullTimeoutMs: number;
  /** Told before an image is looked for; what it waits for, the search waits for. */
  readonly beforeUse?: (ref: ImageRef) => Promise<void>;
  /** Told of each image that a pull brought in and that was not here by this name before, with the time it took. Must not throw. */
  readonly onPulled?: (ref: ImageRef, image: LocalImage, pullMs: number) => void;
  /** For tests; milliseconds since any fixed moment. */
  readonly now?: () => number;
}

export interface EnsureOptions {
  /** Told how the pull goes on, if there is one. A caller who comes later is told at once where it stands. */
  readonly listener?: PullListener | undefined;
  /** Told, beside the listener, how many pulls come first while it waits for its turn. Must not throw. */
  readonly onPosition?: ((ahead: number) => void) | undefined;
  /** The caller's: when it fires the caller leaves, and the pull goes on for others. */
  readonly signal?: AbortSignal | undefined;
}

export interface SuppliedImage {
  /** What was meant: as asked for, or with the tag that differs by case alone. */
  readonly ref: ImageRef;
  readonly image: LocalImage;
}

/** Has the image: finds it, or pulls it once however many ask. */
export class ImageSupply {
  readonly #options: ImageSupplyOptions;
  readonly #missing: MissingImages;
  readonly #flights = new SingleFlight<SuppliedImage>();
  readonly #audiences = new Map<string, Audience>();

  constructor(options: ImageSupplyOptions) {
    this.#options = options;
    this.#missing = new MissingImages(MISSING_FOR_MS, MISSING_CAPACITY, options.now ?? steadyMs);
  }

  /**
   * The image, in the engine.
   * @throws PipesError `image_not_found` (remembered for 30 s), `tag_ambiguous`, `registry_denied`, `registry_unavailable`,
   *   `pull_timeout`, `queue_full`, `disk_full`, `image_unusable`, `engine_unavailable`; or the signal's reason
   */
  async ensure(ref: ImageRef, policy: PullPolicy, { listener, onPosition, signal }: EnsureOptions = {}): Promise<SuppliedImage> {
    signal?.throwIfAborted();
    await this.#options.beforeUse?.(ref);
    if (policy !== 'always') {
      const image = await this.#options.store.find(ref);
      if (image) return { ref, image };
    }
    const key = printImageRef(ref);
    const missing = policy === 'never' ? undefined : this.#missing.find(key);
    if (missing) throw missing;

    const leave = listener && this.#audience(key).join(listener, onPosition);
    try {
      return await this.#flights.run(`${policy} ${key}`, () => this.#obtain(ref, policy), signal);
    } finally {
      leave?.();
      if (this.#audiences.get(key)?.isEmpty === true) this.#audiences.delete(key);
    }
  }

  /** Whether `ensure` would say from memory that there is no such image, were it not here by now. */
  isKnownMissing(ref: ImageRef): boolean {
    return this.#missing.find(printImageRef(ref)) !== undefined;
  }

  /** The next `ensure` asks the registry again, even if the image was missing a moment ago. */
  forget(ref: ImageRef): void {
    this.#missing.forget(printImageRef(ref));
  }

  /** What is here by this very name; asks no registry. */
  async local(ref: ImageRef): Promise<LocalImage | undefined> {
    return await this.#options.store.find(ref);
  }

  /**
   * The digest that the registry has for this name now; nothing is pulled.
   * @throws PipesError `image_not_found`, `registry_denied`, `registry_unavailable`, or the signal's reason
   */
  async latestDigest(ref: ImageRef, signal: AbortSignal): Promise<string> {
    return await this.#options.registry.digest(ref, await this.#options.logins.loginFor(ref.registry), signal);
  }

  /**
   * What the registry has by this very name, pulled if need be: never what is here in its stead, as `ensure` gives when the
   * registry is away. Throws as `ensure` does.
   */
  async refresh(ref: ImageRef, signal: AbortSignal): Promise<LocalImage> {
    await this.#options.beforeUse?.(ref);
    const { image } = await this.#flights.run(`refresh ${printImageRef(ref)}`, async () => ({ ref, image: await this.#pulled(ref) }), signal);
    this.forget(ref);
    return image;
  }

  async #obtain(ref: ImageRef, policy: PullPolicy): Promise<SuppliedImage> {
    if (policy === 'never') return await this.#variant(ref, policy, new PipesError('image_not_found', `There is no image ${printImageRef(ref)} here, and pulling is off (pull: never).`), []);
    try {
      return { ref, image: await this.#pulled(ref) };
    } catch (thrown) {
      const error = asPipesError(thrown);
      if (error.code === 'registry_unavailable') return await this.#withoutRegistry(ref, policy, error);
      if (error.code !== 'image_not_found') throw error;
      return await this.#variant(ref, policy, error, await this.#registryTags(ref));
    }
  }

  async #pulled(ref: ImageRef): Promise<LocalImage> {
    const before = await this.#options.store.find(ref);
    const pullMs = await this.#pull(ref);
    const image = await this.#options.store.find(ref);
    if (!image) throw new PipesError('image_not_found', `The image ${printImageRef(ref)} was removed right after it was pulled.`);
    if (image.id !== before?.id) this.#options.onPulled?.(ref, image, pullMs);
    return image;
  }

  /** Gives the milliseconds that it took, without its time in the queue. */
  async #pull(ref: ImageRef): Promise<number> {
    const key = printImageRef(ref);
    const login = await this.#options.logins.loginFor(ref.registry);
    // The pull belongs to nobody in particular, so no caller can end it; its time is bounded once it runs.
    const nobody = new AbortController().signal;
    return await this.#options.queue.run(async () => {
      const startedMs = performance.now();
      const deadline = deadlineAfter(this.#options.pullTimeoutMs);
      try {
        await this.#options.store.pull(ref, login, (layers) => this.#audiences.get(key)?.tell(layers), deadline);
        return performance.now() - startedMs;
      } catch (thrown) {
        if (deadline.aborted) throw new PipesError('pull_timeout', `Pulling ${key} took longer than ${this.#options.pullTimeoutMs / 1000} s.`, { cause: thrown });
        throw withoutLogin(asPipesError(thrown), login, key);
      }
    }, { signal: nobody, onPosition: (ahead) => this.#audiences.get(key)?.tellPosition(ahead) });
  }

  /** The registry cannot be asked: what is here serves, the very tag first, then the one that differs by case alone. */
  async #withoutRegistry(ref: ImageRef, policy: PullPolicy, error: PipesError): Promise<SuppliedImage> {
    const image = policy === 'always' ? await this.#options.store.find(ref) : undefined;
    if (image) return { ref, image };
    const variants = await this.#localVariants(ref);
    const only = variants.length === 1 ? { ...ref, tag: variants[0]! } : undefined;
    const local = only && (await this.#options.store.find(only));
    if (!local) throw error;
    return { ref: only, image: local };
  }

  /** The tag as written does not exist: the one that differs from it by case alone is meant. */
  async #variant(ref: ImageRef, policy: PullPolicy, error: PipesError, registryTags: readonly string[]): Promise<SuppliedImage> {
    const variants = ref.digest === undefined ? caseVariants(ref.tag, [...(await this.#localVariants(ref)), ...registryTags]) : [];
    if (variants.length > 1) throw ambiguous(ref, variants);
    if (variants.length === 1) {
      const meant = { ...ref, tag: variants[0]! };
      const audience = (): Audience | undefined => this.#audiences.get(printImageRef(ref));
      return await this.ensure(meant, policy, { listener: (layers) => audience()?.tell(layers), onPosition: (ahead) => audience()?.tellPosition(ahead) });
    }
    throw policy === 'never' ? error : this.#missing.add(printImageRef(ref));
  }

  /** Empty when the registry does not tell: then what is here decides alone. */
  async #registryTags(ref: ImageRef): Promise<string[]> {
    if (ref.digest !== undefined) return [];
    const login = await this.#options.logins.loginFor(ref.registry);
    try {
      return await this.#options.registry.tags(ref, login, AbortSignal.timeout(TAGS_TIMEOUT_MS));
    } catch {
      return [];
    }
  }

  async #localVariants(ref: ImageRef): Promise<string[]> {
    if (ref.digest !== undefined) return [];
    return caseVariants(ref.tag, await this.#options.store.localTags(ref));
  }

  #audience(key: string): Audience {
    let audience = this.#audiences.get(key);
    if (!audience) this.#audiences.set(key, (audience = new Audience()));
    return audience;
  }
}

/** INTERFACE 3, `image_not_found`. */
const MISSING_FOR_MS = 30_000;
/** Anyone can make up host names: a stranger who tries many must not fill the memory. */
const MISSING_CAPACITY = 2_000;
const TAGS_TIMEOUT_MS = 10_000;

function deadlineAfter(timeoutMs: number): AbortSignal {
  return timeoutMs > LONGEST_TIMER_MS ? new AbortController().signal : AbortSignal.timeout(timeoutMs);
}

/** Registries hide private repositories from strangers behind a denial, so to one without a login it means "no such image". */
function withoutLogin(error: PipesError, login: RegistryLogin | undefined, image: string): PipesError {
  if (login || error.code !== 'registry_denied') return error;
  return new PipesError('image_not_found', `There is no image ${image}, or it needs a login that pipes does not have.`, { cause: error });
}

function ambiguous(ref: ImageRef, variants: readonly string[]): PipesError {
  const names = variants.map((tag) => printImageRef({ ...ref, tag }));
  return new PipesError('tag_ambiguous', `There is no ${printImageRef(ref)}, but there are ${names.join(' and ')}; host names know no case, so rename one of them.`, {
    members: { candidates: names },
  });
}

/** Everyone who waits for one image to come in. */
class Audience {
  readonly #listeners = new Set<{ readonly tell: PullListener; readonly tellPosition: ((ahead: number) => void) | undefined }>();
  #last: readonly LayerProgress[] | undefined;
  #ahead: number | undefined;

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** Gives the function that leaves again. */
  join(listener: PullListener, onPosition: ((ahead: number) => void) | undefined): () => void {
    const seat = { tell: listener, tellPosition: onPosition };
    this.#listeners.add(seat);
    if (this.#last) listener(this.#last);
    else if (this.#ahead !== undefined) onPosition?.(this.#ahead);
    return () => this.#listeners.delete(seat);
  }

  tell(layers: readonly LayerProgress[]): void {
    this.#last = layers;
    for (const { tell } of this.#listeners) tell(layers);
  }

  tellPosition(ahead: number): void {
    this.#ahead = ahead;
    for (const { tellPosition } of this.#listeners) tellPosition?.(ahead);
  }
}
