/** An image that pipes pulled, under the name that it was pulled by. */
export interface PulledImage {
  /** `docker.io/alice/web:main`. The same bits may have been pulled by several names, and one name may have meant several bits. */
  readonly name: string;
  /** The engine's id. */
  readonly id: string;
  /** How long the pull took: what it costs to have it back. */
  readonly pullMs: number;
  /** When a start last asked for it, in milliseconds since 1970; told with an hour's precision. */
  readonly lastUsedAtMs: number;
}

/** Remembers which images pipes brought in; the engine cannot tell, and pulled images take no labels. */
export interface PulledImageStore {
  pulledImages(): readonly PulledImage[];
  /** From one list to the next; resolves once that is on the disk. A change that gives back the list as it was writes nothing. */
  changePulledImages(change: (images: readonly PulledImage[]) => readonly PulledImage[]): Promise<void>;
}
