import type { Log } from '../core/log.ts';
import type { TargetResolver } from '../targets/target-resolver.ts';
import type { Backend } from './backend.ts';
import type { Launcher } from './launcher.ts';
import type { Run } from './run.ts';
import type { WakeProgress, WakeTiming } from './wake-progress.ts';

/** What every instance works with; one object for all of them. */
export interface InstanceParts {
  readonly backend: Backend;
  readonly launcher: Launcher;
  readonly resolver: TargetResolver;
  readonly log: Log;
  /** The steady clock, in milliseconds. */
  readonly now: () => number;
  readonly drainTimeoutMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly stopGraceS: number;
  readonly adoptForeign: boolean;
  /** False while the engine's stream of changes is broken: what is known may be old. */
  readonly isTold: () => boolean;
  /** Another number since the engine went silent or came back: what it was asked before may no longer hold. */
  readonly stretch: () => number;
  /** Ends every wait when pipes stops. */
  readonly closing: AbortSignal;
  /** Nothing new goes to this run's address; what is under way may finish. */
  readonly onEnded: (run: Run) => void;
  /** A container that its instance no longer uses but that still runs, until the promise settles. */
  readonly onRetire: (containerId: string, retired: Promise<void>) => void;
  /** Told at each step of a wake. */
  readonly onProgress: (key: string, progress: WakeProgress) => void;
  /** A wake ended well. */
  readonly onWoken: (key: string, timing: WakeTiming) => void;
}
