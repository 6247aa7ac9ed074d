import type { Observed } from './backend.ts';
import type { Upstream } from './upstream.ts';

/**
 * One life of a container, from ready to stopped, as forwarding sees it: an address and how much it is used. A restarted
 * container is a new run, so nothing that was learnt about the old address outlives it.
 */
export class Run {
  readonly containerId: string;
  readonly managed: boolean;
  readonly upstream: Upstream;
  readonly imageId: string;
  readonly imageDigest: string | undefined;
  readonly configHash: string | undefined;
  readonly startedAt: Date | undefined;
  /** Since when it can be forwarded to, by the steady clock. */
  readonly servesSinceMs: number;
  /** By the steady clock. */
  lastUsedAtMs: number;
  readonly #now: () => number;
  #inFlight = 0;
  #ended = false;
  #drainWaiters: (() => void)[] = [];

  constructor(observed: Observed & { readonly upstream: Upstream }, now: () => number) {
    this.#now = now;
    this.containerId = observed.id;
    this.managed = observed.managed;
    this.upstream = observed.upstream;
    this.imageId = observed.imageId;
    this.imageDigest = observed.imageDigest;
    this.configHash = observed.configHash;
    this.startedAt = observed.startedAt;
    this.servesSinceMs = this.lastUsedAtMs = now();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True once nothing new may be sent to it: it is being stopped or replaced, or has died. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Counts one more request; each call is paired with one `release`. */
  acquire(): this {
    this.#inFlight += 1;
    return this;
  }

  /** @param isQuiet it was no use that keeps the instance awake */
  release(isQuiet = false): void {
    this.#inFlight -= 1;
    if (!isQuiet) this.lastUsedAtMs = this.#now();
    if (this.#inFlight > 0) return;
    for (const wake of this.#drainWaiters.splice(0)) wake();
  }

  end(): void {
    this.#ended = true;
  }

  /** Resolves when no request is in flight, or after that time. */
  drained(withinMs: number): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = Number.isFinite(withinMs) ? setTimeout(resolve, withinMs) : undefined;
      this.#drainWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Whether the engine still tells of this very life: same start, same address. */
  isStill(observed: Observed): boolean {
    return (
      observed.state === 'running' &&
      observed.startedAt?.getTime() === this.startedAt?.getTime() &&
      observed.upstream?.host === this.upstream.host &&
      observed.upstream.port === this.upstream.port
    );
  }
}
