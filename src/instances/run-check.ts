import { asPipesError, PipesError } from '../core/errors.ts';
import type { Observed } from './backend.ts';
import { takesConnectionAtOnce } from './readiness.ts';
import type { Run } from './run.ts';

/** The engine gives no word, and the run may be used all the same: its address cannot have moved. */
export const NO_WORD = Symbol('noWord');

export interface RunCheck {
  /** What the engine shows of the run's container. */
  readonly observe: () => Promise<Observed | undefined>;
  /** Whether the engine has told all that happened up to now (`InstanceParts.isTold`). */
  readonly isTold: boolean;
  readonly acceptsBeforeReady: boolean;
}

/**
 * Looks at a run that serves and is in doubt. While the engine is away it goes on being served (INTERFACE 3), but an address is
 * only as good as the engine's word for it: docs/decisions/0009 says why each of these cases is as it is.
 * @throws PipesError `engine_unavailable` where it may have moved, or is dead
 */
export async function lookAtRun(run: Run, { observe, isTold, acceptsBeforeReady }: RunCheck): Promise<Observed | undefined | typeof NO_WORD> {
  const word = await within(isTold ? BUSY_AFTER_MS : LONGEST_RETURN_MS, observe()).catch(asPipesError);
  // The engine that told everything up to now is busy or frozen, and does nothing in secret.
  if (word === SILENCE && isTold) return NO_WORD;
  // One that comes back takes questions long before it answers them, and starts containers in between, at whatever address is free.
  if (word === SILENCE) throw new PipesError('engine_unavailable', 'The container engine does not answer yet; try again in a moment.');
  if (!(word instanceof PipesError)) return word;
  if (word.code !== 'engine_unavailable') throw word;
  // Nobody is there who could give the address away; what does not answer at once is dead, and might be another's by the time it did.
  if (await takesConnectionAtOnce(run.upstream, acceptsBeforeReady)) return NO_WORD;
  throw word;
}

/** How long an engine that is whole may take for a look. */
const BUSY_AFTER_MS = 1_000;

/** How long one may take from its first connection to its first answer before visitors are told so. It ends what ran, and brings back what it is to. */
const LONGEST_RETURN_MS = 20_000;

const SILENCE = Symbol('silence');

async function within<T>(limitMs: number, answer: Promise<T>): Promise<T | typeof SILENCE> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<typeof SILENCE>((resolve) => {
    timer = setTimeout(() => resolve(SILENCE), limitMs);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
