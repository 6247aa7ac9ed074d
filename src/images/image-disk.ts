import { asPipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { evictionOrder, type EvictionCandidate } from './eviction-order.ts';
import { printImageRef, type ImageRef } from './image-ref.ts';
import type { ImageLayer, ImageShelf } from './image-shelf.ts';
import type { LocalImage } from './image-store.ts';
import type { PulledImage, PulledImageStore } from './pulled-images.ts';

export interface ImageDiskOptions {
  /** `IMAGE_DISK`; Infinity for none: then images are only remembered. */
  readonly budgetBytes: number;
  readonly shelf: ImageShelf;
  readonly store: PulledImageStore;
  /** True for an image (by `printImageRef`) that an instance runs from, or may be about to be made from. */
  readonly isWanted: (name: string) => boolean;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Keeps the images that pipes itself pulled within a budget of bytes. Never removed are images of containers that exist, whosever
 * they are, those that an instance wants, and those that somebody else brought or named.
 */
export class ImageDisk {
  readonly #options: ImageDiskOptions;
  readonly #usedAtMs = new Map<string, number>();
  readonly #removing = new Map<string, Promise<void>>();
  /** Layers never change, and asking for them is one call per image. */
  readonly #layers = new Map<string, readonly ImageLayer[]>();
  #timer: NodeJS.Timeout | undefined;
  #tidying: Promise<void> | undefined;
  #isAskedAgain = false;
  #isStopped = false;

  constructor(options: ImageDiskOptions) {
    this.#options = options;
  }

  /** Looks now, and every hour. */
  start(): void {
    this.#timer = setInterval(() => void this.tidy(), EVERY_MS);
    this.#timer.unref();
    void this.tidy();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#tidying;
  }

  /** Somebody is about to use the image of this name. Resolves when it is not being removed, so that what is found stays. */
  async beforeUse(ref: ImageRef): Promise<void> {
    const name = printImageRef(ref);
    if (this.#options.store.pulledImages().some((entry) => entry.name === name)) this.#usedAtMs.set(name, this.#options.now());
    await this.#removing.get(name);
  }

  /** Pipes pulled this image, which was not here before. Never throws: an image that is not remembered is only never removed. */
  async pulled(ref: ImageRef, image: LocalImage, pullMs: number): Promise<void> {
    const entry: PulledImage = { name: printImageRef(ref), id: image.id, pullMs: Math.round(pullMs), lastUsedAtMs: this.#options.now() };
    try {
      await this.#options.store.changePulledImages((images) => youngest([...images.filter((other) => other.name !== entry.name || other.id !== entry.id), entry]));
    } catch (thrown) {
      this.#options.log.warn({ image: entry.name, err: thrown }, 'could not remember that pipes pulled this image, so it will not be removed for IMAGE_DISK');
    }
    void this.tidy();
  }

  /** Holds what lies there against the budget, and removes what is too much. One at a time; never throws. */
  tidy(): Promise<void> {
    if (this.#tidying) {
      this.#isAskedAgain = true;
      return this.#tidying;
    }
    if (this.#isStopped) return Promise.resolve();
    this.#tidying = this.#tidyUntilDone().finally(() => (this.#tidying = undefined));
    return this.#tidying;
  }

  async #tidyUntilDone(): Promise<void> {
    do {
      this.#isAskedAgain = false;
      await this.#tidyOnce().catch((thrown: unknown) => {
        const error = asPipesError(thrown);
        this.#options.log.warn({ code: error.code, err: error.cause ?? error }, 'images could not be held against IMAGE_DISK; the next look tries again');
      });
    } while (this.#mustLookAgain());
  }

  #mustLookAgain(): boolean {
    return this.#isAskedAgain && !this.#isStopped;
  }

  async #tidyOnce(): Promise<void> {
    const { budgetBytes, store, log } = this.#options;
    const entries = store.pulledImages();
    if (budgetBytes === Infinity || entries.length === 0) return;
    let left = await this.#look(entries);
    const stays = new Set<Pulled>();
    while (sizeOf(left) > budgetBytes && !this.#isStopped) {
      const next = this.#candidates(left).find(({ image }) => !stays.has(image));
      if (!next) {
        log.warn({ totalBytes: sizeOf(left), budgetBytes }, 'images take more than IMAGE_DISK, and all of them are in use');
        break;
      }
      const { image, freedBytes } = next;
      if (await this.#remove(image)) {
        left = left.filter((other) => other !== image);
        log.info({ image: image.entries[0]!.name, id: image.id, freedBytes, totalBytes: sizeOf(left), budgetBytes }, 'removed an image to stay within IMAGE_DISK');
      } else stays.add(image);
    }
    await this.#remember(entries, left);
  }

  /** What of the list is still there, one for each image, however many names it was pulled by. */
  async #look(entries: readonly PulledImage[]): Promise<Pulled[]> {
    const { shelf } = this.#options;
    const used = await shelf.idsOfContainers();
    const pulled: Pulled[] = [];
    for (const { id, names } of await shelf.list()) {
      // Where an image still has names, an entry by another one is out of date: that tag has moved on.
      const own = entries.filter((entry) => entry.id === id && (names.length === 0 || names.includes(entry.name)));
      if (own.length === 0) continue;
      // With a name that somebody else gave it, it would stay whatever is taken away.
      const isForeign = names.some((name) => !own.some((entry) => entry.name === name));
      pulled.push({ id, entries: own, isLeftover: names.length === 0, isKept: isForeign || used.has(id), layers: await this.#layersOf(id) });
    }
    return pulled;
  }

  /** Images that may go, the first to go first. */
  #candidates(pulled: readonly Pulled[]): (EvictionCandidate & { readonly image: Pulled })[] {
    const nowMs = this.#options.now();
    const totalBytes = sizeOf(pulled);
    return pulled
      .filter((image) => !image.isKept && !this.#isWanted(image))
      .map((image) => ({
        image,
        isLeftover: image.isLeftover,
        pullMs: Math.max(...image.entries.map(({ pullMs }) => pullMs)),
        freedBytes: totalBytes - sizeOf(pulled.filter((other) => other !== image)),
        idleMs: nowMs - Math.max(...image.entries.map((entry) => this.#lastUse(entry))),
      }))
      .sort(evictionOrder);
  }

  #isWanted({ entries, isLeftover }: Pulled): boolean {
    return !isLeftover && entries.some(({ name }) => this.#options.isWanted(name));
  }

  /** Whether it is gone. Whoever asks for it meanwhile waits, and pulls it anew. */
  async #remove({ id, entries, isLeftover }: Pulled): Promise<boolean> {
    const { shelf } = this.#options;
    if (isLeftover) return shelf.remove(id);
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    // All names at once: what is found by the last of them while the first is taken off would be gone a moment later.
    for (const { name } of entries) this.#removing.set(name, ended);
    try {
      for (const { name } of entries) if (!(await shelf.remove(name))) return false;
      return true;
    } finally {
      for (const { name } of entries) this.#removing.delete(name);
      end();
    }
  }

  /** Forgets what was looked at and is not left; what was pulled meanwhile stays. */
  async #remember(lookedAt: readonly PulledImage[], left: readonly Pulled[]): Promise<void> {
    const kept = new Set(left.flatMap(({ entries }) => entries));
    const gone = new Set(lookedAt.filter((entry) => !kept.has(entry)));
    for (const id of this.#layers.keys()) if (!left.some((image) => image.id === id)) this.#layers.delete(id);
    for (const { name } of gone) this.#usedAtMs.delete(name);
    await this.#options.store.changePulledImages((images) => {
      const next = images.filter((entry) => !gone.has(entry)).map((entry) => (this.#lastUse(entry) - entry.lastUsedAtMs < EVERY_MS ? entry : { ...entry, lastUsedAtMs: this.#lastUse(entry) }));
      return next.length === images.length && next.every((entry, at) => entry === images[at]) ? images : next;
    });
  }

  #lastUse(entry: PulledImage): number {
    if (this.#options.isWanted(entry.name)) return this.#options.now();
    return Math.max(entry.lastUsedAtMs, this.#usedAtMs.get(entry.name) ?? 0);
  }

  async #layersOf(id: string): Promise<readonly ImageLayer[]> {
    const known = this.#layers.get(id);
    if (known) return known;
    const layers = await this.#options.shelf.layers(id);
    this.#layers.set(id, layers);
    return layers;
  }
}

/** One image of ours that is still there. */
interface Pulled {
  readonly id: string;
  readonly entries: readonly PulledImage[];
  readonly isLeftover: boolean;
  /** A container is made from it, or it is not ours alone. */
  readonly isKept: boolean;
  readonly layers: readonly ImageLayer[];
}

const EVERY_MS = 3_600_000;

/** Far more than a disk holds; beyond it the image that was used longest ago counts as somebody else's. */
const MOST_REMEMBERED = 1_000;

function youngest(images: readonly PulledImage[]): readonly PulledImage[] {
  if (images.length <= MOST_REMEMBERED) return images;
  return [...images].sort((a, b) => b.lastUsedAtMs - a.lastUsedAtMs).slice(0, MOST_REMEMBERED);
}

/** A layer counts once, however many images share it. */
function sizeOf(images: readonly Pulled[]): number {
  const layers = new Map(images.flatMap((image) => image.layers.map(({ key, sizeBytes }) => [key, sizeBytes] as const)));
  return [...layers.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0);
}
