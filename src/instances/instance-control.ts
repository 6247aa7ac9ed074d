import type { PipesError } from '../core/errors.ts';
import type { Reference } from '../targets/reference.ts';
import type { Upstream } from './upstream.ts';
import type { WakeTiming } from './wake-progress.ts';

export type InstanceState = 'absent' | 'pulling' | 'creating' | 'starting' | 'running' | 'paused' | 'stopping' | 'stopped' | 'failed';

/** What is known of a target's instance at this moment; nothing in it was asked of the engine for the occasion. */
export interface InstanceReport {
  readonly reference: string;
  /** `docker.io/alice/web:main`. */
  readonly image: string;
  readonly digest: string | null;
  readonly state: InstanceState;
  readonly containerId: string | null;
  readonly managed: boolean;
  readonly startedAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** Requests and upgraded connections open now. */
  readonly inFlight: number;
  readonly upstream: Upstream | null;
  /** Why the last attempt to start or replace failed; cleared by one that succeeds. */
  readonly error: PipesError | null;
  /** How long the parts of the last wake took; null when this process has seen none. */
  readonly lastWake: WakeTiming | null;
}

/**
 * What an operator may do to instances. Each call resolves once it is done, and is serialised with everything else that
 * happens to the same target. Failures are `PipesError`s of the codes in INTERFACE 3, and `not_managed` (409) for
 * containers that someone started by hand.
 */
export interface InstanceControl {
  /**
   * The reference that is meant: the very one where it is known, else the one known reference (instance or configuration)
   * that differs from it by the case of its tag alone, else as it was.
   */
  canonical(reference: Reference): Reference;
  report(reference: Reference): InstanceReport;
  /** Every instance that is not absent. */
  reports(): InstanceReport[];
  /** Wakes it now; clears an earlier failure's back-off first. */
  start(reference: Reference): Promise<void>;
  /** Stops the container, after the requests in flight had `DRAIN_TIMEOUT` to finish. The container stays. */
  stop(reference: Reference): Promise<void>;
  /** Replaces the container by a new one (of the image the tag means now); starts it when there was none. */
  restart(reference: Reference): Promise<void>;
  /** Stops and removes the container. Its configuration and its named volumes stay. */
  remove(reference: Reference): Promise<void>;
  /** @throws PipesError `not_managed` while the target is served by a container that someone started by hand */
  assertManaged(reference: Reference): void;
  /**
   * The configuration of the target has just been written: a running container is replaced (resolves when the new one
   * serves, rejects when it does not and the old one serves on), all others are made anew at their next request.
   */
  reconfigure(reference: Reference): Promise<void>;
}
