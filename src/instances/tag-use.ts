import type { ImageRef } from '../images/image-ref.ts';
import type { Reference } from '../targets/reference.ts';
import type { InstanceState } from './instance-control.ts';

/** How an instance uses a tag that may move in its registry. */
export interface TagUse {
  readonly reference: Reference;
  /** `user/repo:tag`. */
  readonly key: string;
  readonly imageRef: ImageRef;
  readonly state: InstanceState;
  /** Of the image that it runs; undefined while it does not. */
  readonly imageId: string | undefined;
  /** The registry's digest of what it runs, where that is known. */
  readonly digest: string | undefined;
  /** Its tag moved to an image that failed here, and what ran before serves on. */
  readonly hasRejected: boolean;
}
