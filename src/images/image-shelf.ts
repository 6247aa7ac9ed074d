/** An image as it lies in the engine. */
export interface ShelvedImage {
  readonly id: string;
  /** Every name that it has, as `printImageRef` writes them; none for one whose tag has moved on. */
  readonly names: readonly string[];
}

/** One layer; images with the same base have layers with the same key, and the engine keeps those once. */
export interface ImageLayer {
  readonly key: string;
  readonly sizeBytes: number;
}

/** All that lies in the engine, for who has to make room there. Every failure is a `PipesError`. */
export interface ImageShelf {
  list(): Promise<ShelvedImage[]>;
  /** Empty when the image is gone. */
  layers(id: string): Promise<readonly ImageLayer[]>;
  /** Ids of images that a container is made from, whosever it is and whether it runs or not. */
  idsOfContainers(): Promise<ReadonlySet<string>>;
  /** Takes a name off an image, and the image with its last name; or an image without names, by its id. False where the engine needs it. */
  remove(nameOrId: string): Promise<boolean>;
}
