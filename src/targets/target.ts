import type { ImageRef } from '../images/image-ref.ts';
import type { Reference } from './reference.ts';
import type { EffectiveConfig } from './target-config.ts';

/** What to run for a reference: everything decided by names, settings and configuration, nothing by the engine. */
export interface Target {
  readonly reference: Reference;
  readonly imageRef: ImageRef;
  readonly config: EffectiveConfig;
}
