import { PipesError } from '../../core/errors.ts';
import { clientKey, isLoopback } from '../client-address.ts';
import { TokenBuckets, type Rate } from '../token-buckets.ts';

export interface WakeRateOptions {
  /** `WAKE_RATE`: cold starts that one client may cause. */
  readonly perClient: Rate;
  /** `NEW_TARGETS`: cold starts of targets that this pipes has never run, by all clients together. */
  readonly newTargets: Rate;
  /** A clock that never goes back, in milliseconds. */
  readonly nowMs: () => number;
}

/** One cold start that was counted. */
export interface CountedStart {
  /** It turned out to start nothing, so it is not counted. */
  undo(): void;
  /**
   * There is no such image: the client's attempt stays counted, since the registry was asked, but names that somebody invents do
   * not use up what there is of new targets for everybody.
   */
  foundNoImage(): void;
}

/** How often clients may make pipes start something. Loopback clients are exempt, and warm traffic never asks. */
export class WakeRate {
  readonly #perClient: TokenBuckets;
  readonly #newTargets: TokenBuckets;

  constructor(options: WakeRateOptions) {
    this.#perClient = new TokenBuckets(options.perClient, MAX_CLIENTS, options.nowMs);
    this.#newTargets = new TokenBuckets(options.newTargets, 1, options.nowMs);
  }

  /**
   * Counts one cold start, or refuses it and counts nothing.
   * @throws PipesError `rate_limited` with the time to wait
   */
  admit(clientAddress: string, isNewTarget: boolean): CountedStart {
    if (isLoopback(clientAddress)) return UNCOUNTED;
    const client = clientKey(clientAddress);
    const clientWaitMs = this.#perClient.waitMs(client);
    if (clientWaitMs > 0) throw tooMany('You have started too many sleeping targets', clientWaitMs);
    const newWaitMs = isNewTarget ? this.#newTargets.waitMs(ALL) : 0;
    if (newWaitMs > 0) throw tooMany('Too many new targets have been started here', newWaitMs);
    this.#perClient.take(client);
    if (isNewTarget) this.#newTargets.take(ALL);
    const foundNoImage = (): void => {
      if (isNewTarget) this.#newTargets.giveBack(ALL);
    };
    return {
      foundNoImage,
      undo: () => {
        this.#perClient.giveBack(client);
        foundNoImage();
      },
    };
  }
}

const UNCOUNTED: CountedStart = { undo: () => undefined, foundNoImage: () => undefined };

const MAX_CLIENTS = 10_000;
const ALL = 'all';

function tooMany(what: string, waitMs: number): PipesError {
  const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
  return new PipesError('rate_limited', `${what}; try again in ${retryAfterS} s.`, { retryAfterS });
}
