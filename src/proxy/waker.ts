import type { Run } from '../instances/run.ts';
import type { WakeProgress } from '../instances/wake-progress.ts';
import type { Reference } from '../targets/reference.ts';

/** Where the data path gets its upstreams; `InstanceTable` is it. */
export interface Waker {
  /** The warm path: a run counted as in use, at once, or undefined when something has to be asked or started. */
  tryLease(key: string): Run | undefined;
  /** A run counted as in use; wakes it where needed. @throws PipesError, or the signal's reason */
  lease(reference: Reference, client: string | undefined, signal: AbortSignal): Promise<Run>;
  /** A request failed at this run's address. */
  distrust(run: Run): void;
  readonly isEngineUp: boolean;
  /** Whether it serves now, as far as is known; false while it sleeps or comes up. */
  isUp(key: string): boolean;
  /** @throws PipesError `image_forbidden` */
  assertMayRun(reference: Reference): void;
  /** Whether its page loads may be shown a waiting page. */
  waitMode(reference: Reference): 'auto' | 'page' | 'hold';
  /** Tells each step of its wakes, first where it is now, until the returned function is called. */
  watch(reference: Reference, listener: (progress: WakeProgress) => void): () => void;
}
