import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { IncomingMessage } from 'node:http';
import type { Run } from '../instances/run.ts';
import type { WakeProgress } from '../instances/wake-progress.ts';
import type { Reference } from '../targets/reference.ts';
import { isPageLoad } from './page-load.ts';
import type { Waker } from './waker.ts';

/** A page load that waits for a run, and the moment at which it gets the waiting page instead. */
export interface PageTurn {
  /** From here on the client has its answer, whatever becomes of the wake. */
  readonly isShown: boolean;
  /** Rejects with `PAGE_SHOWN` then; settles in no other way. */
  readonly shown: Promise<never>;
  /** The app came first. */
  cancel(): void;
}

/** The end of a request that was answered with the waiting page. */
export const PAGE_SHOWN = new Error('the waiting page was shown');

/** Decides which requests get the waiting page, and when. Asked about cold requests alone. */
export class PageTurns {
  readonly #waker: Waker;
  readonly #pageAfterMs: number;

  /** @param pageAfterMs how long a page load is held before (`WAIT_PAGE_AFTER`) */
  constructor(waker: Waker, pageAfterMs: number) {
    this.#waker = waker;
    this.#pageAfterMs = Math.min(pageAfterMs, LONGEST_TIMER_MS);
  }

  /** Whether this request is to be shown a page at all. */
  mayShow(target: { readonly reference: Reference; readonly key: string }, request: IncomingMessage): boolean {
    return isPageLoad(request) && this.#waker.waitMode(target.reference) !== 'hold';
  }

  /**
   * Shows the page when it is time; undefined for a request that is held to the end. The wake is seen to its end in any case,
   * also where that is another spelling of the tag, and the page follows it.
   */
  begin(target: { readonly reference: Reference; readonly key: string }, request: IncomingMessage, lease: Promise<Run>, show: (progress: WakeProgress) => void): PageTurn | undefined {
    if (!this.mayShow(target, request)) return undefined;
    // What is up only has to be looked at, which is over before a page would be drawn.
    const isAtOnce = this.#waker.waitMode(target.reference) === 'page' && !this.#waker.isUp(target.key);
    let over: () => void = () => undefined;
    const shown = new Promise<never>((_resolve, reject) => (over = () => reject(PAGE_SHOWN)));
    const timer = setTimeout(() => {
      turn.isShown = true;
      show(this.#progressOf(target.reference));
      void lease.then((run) => run.release(), () => undefined);
      over();
    }, isAtOnce ? 0 : this.#pageAfterMs);
    const turn = { isShown: false, shown, cancel: () => clearTimeout(timer) };
    return turn;
  }

  #progressOf(reference: Reference): WakeProgress {
    let progress: WakeProgress = { phase: 'asleep' };
    this.#waker.watch(reference, (now) => (progress = now))();
    return progress;
  }
}
