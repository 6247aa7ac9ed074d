import { problemOf, type Problem } from '../core/problem.ts';
import type { WakeProgress } from '../instances/wake-progress.ts';

/** How a wake goes on, as visitors are told: what `GET /__proxyapi/wake` sends as JSON and the waiting page shows. */
export type WakeMessage =
  | Exclude<WakeProgress, { readonly phase: 'failed' }>
  /** `retryAfterS`: how long until another try can help, in seconds; null where nobody knows. */
  | { readonly phase: 'failed'; readonly problem: Problem; readonly retryAfterS: number | null };

/** A failure is told as its error answer tells it to strangers, and no more. */
export function wakeMessage(progress: WakeProgress): WakeMessage {
  if (progress.phase !== 'failed') return progress;
  const { error } = progress;
  return { phase: 'failed', problem: problemOf(error), retryAfterS: error.retryAfterS ?? null };
}
