import type { Observed } from './backend.ts';
import type { InstanceLife } from './instance-life.ts';
import type { InstanceParts } from './instance-parts.ts';
import type { Run } from './run.ts';

/** Takes containers down: paused, stopped, removed, each after the requests in flight had their time. */
export class ContainerSleep {
  readonly #life: InstanceLife;
  readonly #parts: InstanceParts;

  constructor(life: InstanceLife, parts: InstanceParts) {
    this.#life = life;
    this.#parts = parts;
  }

  async pause(observed: Observed): Promise<void> {
    if (observed.state !== 'running') {
      // It ended unheard. Left as it was, it would be due again at once, and again.
      this.#life.settle(observed);
      return;
    }
    this.#life.sinking('paused', observed.id);
    const stretch = this.#parts.stretch();
    try {
      await this.#parts.backend.pause(observed.id);
    } catch (thrown) {
      this.#life.pauseFailed = { containerId: observed.id, stretch };
      throw thrown;
    }
  }

  async stop(observed: Observed): Promise<void> {
    if (observed.state === 'created' || observed.state === 'exited') {
      this.#life.sinking('stopped', observed.id);
      return;
    }
    const { run } = this.#life;
    this.#life.sinking('stopping', observed.id);
    try {
      await run?.drained(this.#parts.drainTimeoutMs);
      await this.#parts.backend.stop(observed.id, this.#parts.stopGraceS);
    } finally {
      // Also when the engine failed: what it really did is asked at the next use.
      this.#life.sinking('stopped', observed.id);
    }
  }

  async remove(observed: Observed): Promise<void> {
    await this.stop(observed);
    await this.#parts.backend.remove(observed.id);
    this.#life.absent();
  }

  /** One that was replaced and serves nobody new; does not touch what is known of the instance. Never throws. */
  async retire(containerId: string, run: Run | undefined): Promise<void> {
    const { backend, drainTimeoutMs, stopGraceS, log } = this.#parts;
    try {
      await run?.drained(drainTimeoutMs);
      await backend.stop(containerId, stopGraceS);
      await backend.remove(containerId);
    } catch (thrown) {
      log.warn({ ref: this.#life.key, container: containerId, err: thrown }, 'a replaced container could not be removed; the next reconcile tries again');
    }
  }
}
