import type { WakeProgress } from './wake-progress.ts';

/** Must not throw. */
export type WakeListener = (progress: WakeProgress) => void;

/** Who waits to hear how wakes go on, by the key that they asked for. Knows no instances, so it outlives them. */
export class WakeWatchers {
  readonly #listeners = new Map<string, Set<WakeListener>>();

  /** @returns ends the watch */
  add(key: string, listener: WakeListener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    };
  }

  /** Tells those whose key is meant. */
  tell(isMeant: (key: string) => boolean, progress: WakeProgress): void {
    for (const [key, listeners] of this.#listeners) if (isMeant(key)) for (const listener of listeners) listener(progress);
  }
}
