import { PipesError } from '../core/errors.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { Target } from '../targets/target.ts';
import type { Backend, Observed } from './backend.ts';
import { untilReady } from './readiness.ts';
import { ASSUMED_PORT } from './serving-port.ts';
import type { Upstream } from './upstream.ts';
import type { Attempt } from './wake-attempt.ts';

/** A container that runs, is ready, and can be reached. */
export type Live = Observed & { readonly upstream: Upstream };

/** How many lines of a container that failed are kept. */
export const KEPT_LINES = 200;

/** How often a starting container is looked at besides what the engine tells of its own accord; for engines that tell nothing. */
const LOOK_EVERY_MS = 1_000;

/** Starts a container and waits until it is ready, has died, or took too long. */
export class Starter {
  readonly #backend: Backend;
  readonly #deaths = new Map<string, AbortController>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The engine says that this container died. Ends a wait for it at once, unless the word was about an earlier life of it. */
  noticeDied(containerId: string): void {
    const death = this.#deaths.get(containerId);
    if (death) void this.#lookForDeath(containerId, death);
  }

  /**
   * Starts the container, or only waits for it where it runs already.
   * @throws PipesError `instance_failed` as soon as it exits, `instance_not_ready` at the deadline, what the backend throws
   *   (`engine_unavailable` also where an engine that came back has ended it), or the signal's reason
   */
  async begin(containerId: string, attempt: Attempt, how: 'start' | 'wait'): Promise<Live> {
    try {
      return await this.#begin(containerId, attempt, how);
    } catch (thrown) {
      if (attempt.signal.aborted || !attempt.isInterrupted()) throw thrown;
      throw new PipesError('engine_unavailable', 'The container engine went away while the container started; try again.', { cause: thrown });
    }
  }

  async #begin(containerId: string, { target, signal, onProgress, timing }: Attempt, how: 'start' | 'wait'): Promise<Live> {
    const startedMs = performance.now();
    const death = new AbortController();
    const deadline = AbortSignal.timeout(Math.min(target.config.startTimeoutMs, LONGEST_TIMER_MS));
    let look: NodeJS.Timeout | undefined;
    try {
      onProgress({ phase: 'starting' });
      if (how === 'start') await this.#backend.start(containerId);
      // Not before: until it is started, a container that ran once looks as if it had just died. One that died since is seen right below.
      this.#deaths.set(containerId, death);
      look = setInterval(() => void this.#lookForDeath(containerId, death), LOOK_EVERY_MS);
      const live = await this.#observe(containerId);
      const runsMs = performance.now();
      timing.startMs += runsMs - startedMs;
      onProgress({ phase: 'probing' });
      const probe = { path: target.config.readinessPath, acceptsBeforeReady: this.#backend.acceptsBeforeReady };
      await untilReady(live.upstream, probe, AbortSignal.any([signal, deadline, death.signal]));
      timing.readyMs += performance.now() - runsMs;
      return live;
    } catch (thrown) {
      if (thrown instanceof PipesError || signal.aborted) throw thrown;
      if (death.signal.aborted) throw await this.#exited(containerId, await this.#backend.inspect(containerId));
      if (deadline.aborted) throw await this.#notReady(containerId, target);
      throw thrown;
    } finally {
      clearInterval(look);
      this.#deaths.delete(containerId);
    }
  }

  async #observe(containerId: string): Promise<Live> {
    const observed = await this.#backend.inspect(containerId);
    if (observed?.state !== 'running') throw await this.#exited(containerId, observed);
    const { upstream } = observed;
    if (!upstream) throw new PipesError('instance_not_ready', 'The container runs but has no address that pipes can reach; see UPSTREAM in the settings.');
    return { ...observed, upstream };
  }

  async #lookForDeath(containerId: string, death: AbortController): Promise<void> {
    try {
      const observed = await this.#backend.inspect(containerId);
      if (observed?.state !== 'running' && observed?.state !== 'created') death.abort();
    } catch {
      // The engine is away; the wait has its own deadline.
    }
  }

  async #exited(containerId: string, observed: Observed | undefined): Promise<PipesError> {
    if (!observed) return new PipesError('instance_failed', 'The container was removed while it started.');
    const lines = await this.#lastLines(containerId);
    if (observed.cannotRun !== undefined) return new PipesError('image_unusable', `The image's program cannot run here: ${observed.cannotRun}.`, { privateDetail: lines });
    const exitCode = observed.exitCode ?? null;
    const why = observed.oomKilled ? ' because it needed more memory than it may use' : '';
    return new PipesError('instance_failed', `The container exited with code ${exitCode ?? 'unknown'} while starting${why}.`, {
      members: { exitCode },
      privateDetail: lines,
    });
  }

  async #notReady(containerId: string, target: Target): Promise<PipesError> {
    const { config } = target;
    const observed = await this.#backend.inspect(containerId);
    const port = observed?.upstream?.port;
    const tried = config.readinessPath === undefined ? `Nothing listened on port ${port ?? '?'}` : `GET ${config.readinessPath} on port ${port ?? '?'} gave no answer below 500`;
    const assumed = config.port === undefined && port === ASSUMED_PORT ? ' If it listens elsewhere, expose that port in the image or set `port` in its configuration.' : '';
    return new PipesError('instance_not_ready', `${tried} within ${config.startTimeoutMs / 1000} s.${assumed}`, { privateDetail: await this.#lastLines(containerId) });
  }

  async #lastLines(containerId: string): Promise<string[]> {
    return this.#backend.lastLines(containerId, KEPT_LINES).catch(() => []);
  }
}
