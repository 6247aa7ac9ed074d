import type { Reference } from '../targets/reference.ts';
import type { Target } from '../targets/target.ts';
import type { WakeProgress } from './wake-progress.ts';

/** One attempt to bring a target up: what it runs into, told as it goes, and how long its parts take. */
export interface Attempt {
  readonly reference: Reference;
  readonly target: Target;
  readonly signal: AbortSignal;
  /** Whether the engine went away or came back since it began: what it told before may no longer hold, and who died was not to blame. */
  readonly isInterrupted: () => boolean;
  readonly onProgress: (progress: WakeProgress) => void;
  /** A container was made; from here on it has to be remembered or removed. */
  readonly onCreated: (containerId: string) => void;
  readonly timing: { pullMs: number; createMs: number; startMs: number; readyMs: number };
}
