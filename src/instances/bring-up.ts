import { asPipesError } from '../core/errors.ts';
import type { Target } from '../targets/target.ts';
import type { Observed, RunSpec } from './backend.ts';
import { configHash } from './config-hash.ts';
import type { InstanceLife } from './instance-life.ts';
import type { InstanceParts } from './instance-parts.ts';
import { TagMoved } from './launcher.ts';
import type { Run } from './run.ts';
import type { Live } from './starter.ts';
import type { Attempt } from './wake-attempt.ts';

/** Brings a target up from whatever is there: its own container, one that someone started by hand, or nothing. */
export class BringUp {
  readonly #life: InstanceLife;
  readonly #parts: InstanceParts;

  constructor(life: InstanceLife, parts: InstanceParts) {
    this.#life = life;
    this.#parts = parts;
  }

  /**
   * @param observed what the engine shows of our container, just now
   * @throws PipesError of INTERFACE 3, `TagMoved`
   */
  from(observed: Observed | undefined, target: Target): Promise<Run> {
    return this.#recording(async () => {
      const startedMs = performance.now();
      const attempt = this.attempt(target);
      const live = await this.#launch(observed, attempt);
      const from = observed === undefined ? 'absent' : observed.state === 'exited' || observed.state === 'created' ? 'stopped' : observed.state;
      const timing = { from, ...attempt.timing, totalMs: performance.now() - startedMs } as const;
      this.#life.lastWake = timing;
      const run = this.#life.serve(live, attempt);
      this.#parts.onWoken(this.#life.key, timing);
      return run;
    });
  }

  /** A new container whatever is there, of the image that the tag means now. */
  anew(observed: Observed | undefined, target: Target): Promise<Run> {
    return this.#recording(async () => {
      const attempt = this.attempt(target);
      const spec = await this.#parts.launcher.specFor(attempt);
      if (observed) await this.#discard(observed);
      return this.#life.serve(await this.#parts.launcher.create(spec, attempt), attempt);
    });
  }

  /** One attempt to come up, which shows its steps in the status. */
  attempt(target: Target): Attempt {
    const stretch = this.#parts.stretch();
    return {
      reference: this.#life.reference,
      target,
      signal: this.#parts.closing,
      isInterrupted: () => this.#parts.stretch() !== stretch,
      timing: { pullMs: 0, createMs: 0, startMs: 0, readyMs: 0 },
      onCreated: (containerId) => this.#life.starting(containerId),
      onProgress: (progress) => this.#life.show(progress),
    };
  }

  /** An engine that died in the middle of a pause may have frozen the processes, and shows ever after that they run. One that lived on shows what is. */
  #mayBeFrozen(containerId: string): boolean {
    const { pauseFailed } = this.#life;
    return pauseFailed?.containerId === containerId && pauseFailed.stretch !== this.#parts.stretch();
  }

  /** The container that is there where it still is what it should be; else a new one. */
  async #launch(observed: Observed | undefined, attempt: Attempt): Promise<Live> {
    const { launcher, backend, adoptForeign } = this.#parts;
    const { target } = attempt;
    if (observed?.state === 'running' && observed.managed && this.#mayBeFrozen(observed.id)) {
      // Neither pause nor unpause thaws what the engine does not know to be frozen; the end of it does.
      await backend.stop(observed.id, 0);
      return this.#resume({ ...observed, state: 'exited' }, attempt);
    }
    if (observed?.state === 'running') {
      this.#life.starting(observed.id);
      return launcher.attach(observed.id, attempt);
    }
    // Of a paused one only the configuration is compared: where its tag has moved, it serves until the new one is ready beside it (`TagRefresher`).
    if (observed?.state === 'paused' && observed.configHash === configHash(target.imageRef, target.config)) {
      return this.#resume(observed, attempt);
    }
    if (!observed && adoptForeign) {
      const foreign = await backend.findForeign(this.#life.reference, target.imageRef, target.config.port);
      if (foreign) return this.#attachForeign(foreign.id, attempt);
    }
    const spec = await this.#specOrReuse(observed, attempt);
    if (observed && (spec === undefined || (observed.configHash === spec.configHash && this.#life.mayKeep(observed.imageId, spec.image.id)))) {
      return this.#resume(observed, attempt);
    }
    if (observed) await this.#discard(observed);
    return launcher.create(spec!, attempt);
  }

  async #resume(observed: Observed, attempt: Attempt): Promise<Live> {
    try {
      this.#life.starting(observed.id);
      return await this.#parts.launcher.resume(observed, attempt);
    } catch (thrown) {
      // Somebody removed it a moment ago, which is no failure of its own.
      if (asPipesError(thrown).code !== 'instance_failed' || (await this.#parts.backend.inspect(observed.id))) throw thrown;
      this.#life.absent();
      return this.#launch(undefined, attempt);
    }
  }

  async #discard(observed: Observed): Promise<void> {
    await this.#parts.backend.remove(observed.id);
    this.#life.absent();
  }

  /** Undefined: the image cannot be had now, but what ran before can run again without it. */
  async #specOrReuse(observed: Observed | undefined, attempt: Attempt): Promise<RunSpec | undefined> {
    try {
      return await this.#parts.launcher.specFor(attempt);
    } catch (thrown) {
      if (observed && REUSABLE_WITHOUT_IMAGE.has(asPipesError(thrown).code)) return undefined;
      throw thrown;
    }
  }

  async #attachForeign(containerId: string, attempt: Attempt): Promise<Live> {
    try {
      this.#life.starting(containerId);
      return await this.#parts.launcher.attach(containerId, attempt);
    } catch (thrown) {
      this.#life.absent();
      throw thrown;
    }
  }

  /** Keeps why an attempt failed, and settles the status that it left in the middle. */
  async #recording<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (thrown) {
      const { containerId } = this.#life;
      if (thrown instanceof TagMoved) {
        if (containerId === undefined) this.#life.absent();
        else this.#life.sinking('stopped', containerId);
        throw thrown;
      }
      const error = asPipesError(thrown);
      if (error.code === 'instance_not_ready' && containerId !== undefined) await this.#stopUnready(containerId);
      throw this.#life.failed(error, OWN_FAILURES.has(error.code));
    }
  }

  async #stopUnready(containerId: string): Promise<void> {
    const { backend, log } = this.#parts;
    const observed = await backend.inspect(containerId).catch(() => undefined);
    if (observed?.managed !== true) return;
    await backend.stop(containerId, UNREADY_GRACE_S).catch((thrown: unknown) => log.warn({ ref: this.#life.key, err: thrown }, 'could not stop a container that did not get ready'));
  }
}

/** It serves nobody, so it has little to finish. */
const UNREADY_GRACE_S = 1;

/** Failures of the container or its image: tried again only after a while. All others are somebody else's, and may pass at once. */
export const OWN_FAILURES: ReadonlySet<string> = new Set(['instance_failed', 'instance_not_ready', 'image_unusable']);

const REUSABLE_WITHOUT_IMAGE: ReadonlySet<string> = new Set(['image_not_found', 'registry_denied', 'registry_unavailable', 'pull_timeout', 'queue_full']);
