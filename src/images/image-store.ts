import type { ImageRef } from './image-ref.ts';
import type { RegistryLogin } from './registry-logins.ts';

/** An image whose bits the engine has. */
export interface LocalImage {
  /** The engine's id, `sha256:…` of the image's configuration. */
  readonly id: string;
  /** The registry's digest of the manifest, when it came from one. */
  readonly digest: string | undefined;
  /** TCP ports that the image exposes, ascending. */
  readonly exposedPorts: readonly number[];
  readonly sizeBytes: number;
}

/** One layer of a running pull. Totals are unknown until the registry has told them. */
export interface LayerProgress {
  readonly id: string;
  readonly phase: 'waiting' | 'downloading' | 'extracting' | 'done';
  readonly doneBytes: number;
  readonly totalBytes: number | undefined;
}

/** Told at each change while an image comes in. Must not throw. */
export type PullListener = (layers: readonly LayerProgress[]) => void;

/** The engine's images; Docker implements it. Every failure is a `PipesError`. */
export interface ImageStore {
  /** Exactly this name; tags are case-sensitive. Undefined when the engine does not have it. */
  find(ref: ImageRef): Promise<LocalImage | undefined>;

  /** Tags of this repository that the engine has. */
  localTags(ref: Pick<ImageRef, 'registry' | 'repository'>): Promise<string[]>;

  /**
   * Brings the bits in. The login is sent to that registry alone.
   * @throws PipesError `image_not_found`, `registry_denied`, `registry_unavailable`, `disk_full`, `image_unusable`,
   *   `engine_unavailable`, or the signal's reason
   */
  pull(ref: ImageRef, login: RegistryLogin | undefined, listener: PullListener, signal: AbortSignal): Promise<void>;
}
