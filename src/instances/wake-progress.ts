import type { PipesError } from '../core/errors.ts';
import type { LayerProgress } from '../images/image-store.ts';

/** How far a wake is, for those who wait. Tells nothing that the error answer would not. */
export type WakeProgress =
  | { readonly phase: 'asleep' }
  /** `ahead`: how many come first. `forPull`: its image is not here yet, or that is still to be seen. */
  | { readonly phase: 'queued'; readonly ahead: number; readonly forPull?: true }
  | { readonly phase: 'pulling'; readonly layers: readonly LayerProgress[] }
  | { readonly phase: 'creating' }
  | { readonly phase: 'starting' }
  /** It runs; its port is asked until it answers. */
  | { readonly phase: 'probing' }
  | { readonly phase: 'ready' }
  | { readonly phase: 'failed'; readonly error: PipesError };

/** How long the parts of a wake took, in milliseconds; 0 for what was not needed. */
export interface WakeTiming {
  readonly from: 'absent' | 'stopped' | 'paused' | 'running';
  readonly pullMs: number;
  readonly createMs: number;
  readonly startMs: number;
  readonly readyMs: number;
  readonly totalMs: number;
}
