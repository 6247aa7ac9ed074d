import { asPipesError } from '../core/errors.ts';
import type { Target } from '../targets/target.ts';
import type { Observed, RunSpec } from './backend.ts';
import { OWN_FAILURES, type BringUp } from './bring-up.ts';
import type { ContainerSleep } from './container-sleep.ts';
import type { InstanceLife } from './instance-life.ts';
import type { InstanceParts } from './instance-parts.ts';

/**
 * Replaces a container that runs: new beside old, ready, switch, drain; or the old one first, with requests held, where two at
 * once would do harm (`EffectiveConfig.replace`). If the new one fails, the old serves on and the state says why.
 */
export class Replacement {
  readonly #life: InstanceLife;
  readonly #parts: InstanceParts;
  readonly #bringUp: BringUp;
  readonly #sleep: ContainerSleep;

  constructor(life: InstanceLife, parts: InstanceParts, bringUp: BringUp, sleep: ContainerSleep) {
    this.#life = life;
    this.#parts = parts;
    this.#bringUp = bringUp;
    this.#sleep = sleep;
  }

  /** Resolves when the new one serves. @throws PipesError why it does not; the old one serves then, unless that failed as well */
  async replace(old: Observed, target: Target): Promise<void> {
    try {
      // Those who watch a wake are not told of a replacement: the old one serves them.
      const spec = await this.#parts.launcher.specFor({ ...this.#bringUp.attempt(target), onProgress: () => undefined });
      await (target.config.replace === 'stop-first' ? this.#stopFirst(old, spec, target) : this.#overlap(old, spec, target));
      this.#life.forgetFailures();
    } catch (thrown) {
      this.#life.backoff.note(asPipesError(thrown));
      throw thrown;
    }
  }

  async #overlap(old: Observed, spec: RunSpec, target: Target): Promise<void> {
    let created: string | undefined;
    const attempt = { ...this.#bringUp.attempt(target), onProgress: () => undefined, onCreated: (id: string) => (created = id) };
    try {
      const live = await this.#parts.launcher.create(spec, attempt);
      const oldRun = this.#life.run;
      this.#life.serve(live, attempt);
      this.#parts.onRetire(old.id, this.#sleep.retire(old.id, oldRun));
    } catch (thrown) {
      if (created !== undefined) await this.#discard(created);
      throw thrown;
    }
  }

  async #stopFirst(old: Observed, spec: RunSpec, target: Target): Promise<void> {
    const { launcher, backend } = this.#parts;
    await this.#sleep.stop(old);
    const attempt = this.#bringUp.attempt(target);
    try {
      this.#life.serve(await launcher.create(spec, attempt), attempt);
    } catch (thrown) {
      const created = this.#life.containerId;
      if (created !== undefined && created !== old.id) await this.#discard(created);
      await this.#bringBack(old, target);
      throw thrown;
    }
    await backend.remove(old.id);
  }

  /** Where the old one does not come up again either, that is what the state says, and the next request tries again. */
  async #bringBack(old: Observed, target: Target): Promise<void> {
    const attempt = this.#bringUp.attempt(target);
    try {
      this.#life.starting(old.id);
      this.#life.serve(await this.#parts.launcher.resume({ ...old, state: 'exited' }, attempt), attempt);
    } catch (thrown) {
      const error = asPipesError(thrown);
      this.#life.failed(error, OWN_FAILURES.has(error.code));
    }
  }

  /** A new one that failed. An engine that went away removes nothing; a look at what it shows once it is back does. */
  async #discard(id: string): Promise<void> {
    const { backend, log } = this.#parts;
    await backend.remove(id).catch((thrown: unknown) => log.warn({ ref: this.#life.key, container: id, err: thrown }, 'a container that did not come up could not be removed; the next reconcile tries again'));
  }
}
