import type { Log } from '../core/log.ts';
import { parseReference, type Reference } from '../targets/reference.ts';
import type { Backend, BackendListener, Observed } from './backend.ts';
import type { InstanceRoster } from './instance-roster.ts';
import type { Instance } from './instance.ts';
import type { Starter } from './starter.ts';

export interface FollowerOptions {
  readonly backend: Backend;
  readonly roster: InstanceRoster;
  readonly starter: Starter;
  readonly log: Log;
  /** How often what is known is held against what the engine shows. */
  readonly reconcileEveryMs: number;
  /** Whether a container was replaced and is on its way out. */
  readonly isRetiring: (containerId: string) => boolean;
  /** A container was removed, by whomever. */
  readonly onContainerGone: (() => void) | undefined;
  /** Aborted when pipes stops. */
  readonly closing: AbortSignal;
}

/**
 * Keeps the instances true to the engine: by what it tells of its own accord, by a look at everything now and then, and by
 * trusting nothing while it tells nothing.
 */
export class EngineFollower {
  readonly #options: FollowerOptions;
  /** What changed while a list was under way is newer than the list. */
  readonly #moved = new Set<Instance>();
  #isTold = false;
  #stretch = 0;
  #watch: { stop(): Promise<void> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #againMs = LOOK_AGAIN_MS;
  #reconciling: Promise<void> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** Whether the engine answers and tells what happens. */
  get isTold(): boolean {
    return this.#isTold;
  }

  /** Counts up each time that the engine goes silent or is heard again. What it answered in another stretch than this may no longer hold. */
  get stretch(): number {
    return this.#stretch;
  }

  /** Takes over what runs already, then follows. An engine that is away is waited for in the background. */
  async start(): Promise<void> {
    const listening = new Promise<void>((resolve) => {
      this.#watch = this.#options.backend.watch(this.#listener(resolve));
    });
    this.#timer = setInterval(() => void this.reconcile(), this.#options.reconcileEveryMs);
    await Promise.race([listening, new Promise((resolve) => setTimeout(resolve, FIRST_CONTACT_MS).unref())]);
    // One that is there and does not answer must not hold up the start either.
    if (this.#isTold) await this.reconcile();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    await this.#watch?.stop();
    await this.#reconciling;
  }

  /** This instance has changed. */
  noteChanged(instance: Instance): void {
    if (this.#reconciling) this.#moved.add(instance);
  }

  /** Holds what is known against what the engine shows, and takes over what is new. Never throws. */
  reconcile(): Promise<void> {
    this.#reconciling ??= this.#reconcile().finally(() => {
      this.#reconciling = undefined;
      this.#moved.clear();
    });
    return this.#reconciling;
  }

  async #reconcile(): Promise<void> {
    const { backend, roster, isRetiring } = this.#options;
    const shown = await backend.list().catch(() => undefined);
    if (!shown) return;
    for (const [key, containers] of groupByReference(shown.filter(({ id }) => !isRetiring(id)))) {
      const reference = readLabel(key);
      if (reference) await this.#compare(roster.obtain(reference), containers);
    }
    const seen = new Set(shown.map(({ id }) => id));
    for (const [containerId, instance] of roster.contained()) {
      // The list may be older than the container, so its absence there is only a reason to ask.
      if (!seen.has(containerId) && !instance.isForeign) instance.distrust();
    }
  }

  async #compare(instance: Instance, containers: readonly Observed[]): Promise<void> {
    if (instance.busy || this.#moved.has(instance)) {
      if (containers.some(({ id }) => id !== instance.containerId)) this.#lookAgain();
      return;
    }
    // A list without the container that is known is older than that container, so it says nothing about the others either.
    if (instance.containerId !== undefined && !containers.some(({ id }) => id === instance.containerId)) {
      if (!instance.isForeign) instance.distrust();
      return;
    }
    const [chosen, ...leftovers] = [...containers].sort(byPreference(instance.containerId));
    instance.adopt(chosen!);
    for (const leftover of leftovers) await this.#removeLeftover(leftover);
  }

  /** There is one too many, perhaps, and its instance has no time to say so: soon, and less and less soon while that lasts. */
  #lookAgain(): void {
    if (this.#again !== undefined) return;
    this.#again = setTimeout(() => {
      this.#again = undefined;
      this.#againMs *= 2;
      void this.reconcile().then(() => {
        if (this.#again === undefined) this.#againMs = LOOK_AGAIN_MS;
      });
    }, Math.min(this.#againMs, this.#options.reconcileEveryMs)).unref();
  }

  /** A crash in the middle of a replacement leaves two; the one that is not chosen serves nobody. */
  async #removeLeftover({ id, reference }: Observed): Promise<void> {
    const { backend, log } = this.#options;
    log.info({ ref: reference, container: id }, 'removing a container that an interrupted replacement left behind');
    await backend.remove(id).catch((thrown: unknown) => log.warn({ err: thrown }, 'could not remove it'));
  }

  #listener(onTold: () => void): BackendListener {
    const { roster, starter, log, onContainerGone } = this.#options;
    return {
      changed: (containerId, what) => {
        const instance = roster.inContainer(containerId);
        if (what === 'removed') onContainerGone?.();
        if (what === 'died' || what === 'crashed') starter.noticeDied(containerId);
        if (!instance) return;
        if (what === 'died' || what === 'crashed') void this.#noticeDied(instance, containerId, what === 'crashed');
        if (what === 'removed') instance.noticeRemoved(containerId);
        if (what === 'paused' || what === 'unpaused') instance.distrust();
        roster.dropIfAbsent(instance);
      },
      lost: () => {
        this.#isTold = false;
        this.#stretch += 1;
        log.warn('the engine no longer tells what happens; warm targets go on being served');
        for (const instance of roster.all()) instance.distrust();
      },
      restored: () => {
        this.#isTold = true;
        this.#stretch += 1;
        // Addresses may have moved to other containers meanwhile, so nothing is used again before it was looked at.
        for (const instance of roster.all()) instance.distrust();
        void this.reconcile();
        onTold();
      },
    };
  }

  async #noticeDied(instance: Instance, containerId: string, byItself: boolean): Promise<void> {
    const { log, closing } = this.#options;
    try {
      if (!(await instance.noticeDied(containerId, byItself))) return;
      log.info({ ref: instance.key, container: containerId }, 'it died by itself while it was in use; starting it again');
      await instance.wake(closing);
    } catch (thrown) {
      if (!closing.aborted) log.warn({ ref: instance.key, err: thrown }, 'a container died, and could not be looked at or started again');
    }
  }
}

/** How long the start waits for the engine before it goes on without; a local engine answers in milliseconds. */
const FIRST_CONTACT_MS = 5_000;

/** How soon after a look that came at a bad moment the next one follows. */
const LOOK_AGAIN_MS = 1_000;

function groupByReference(containers: readonly Observed[]): Map<string, Observed[]> {
  const groups = new Map<string, Observed[]>();
  for (const container of containers) groups.set(container.reference, [...(groups.get(container.reference) ?? []), container]);
  return groups;
}

/** Undefined for a label that this version of pipes would not have written. */
function readLabel(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

/** The one in use first, then what runs, then what sleeps; of equals the youngest. */
function byPreference(inUse: string | undefined): (a: Observed, b: Observed) => number {
  const rank = (container: Observed): number => (container.id === inUse ? 0 : container.state === 'running' ? 1 : container.state === 'paused' ? 2 : 3);
  return (a, b) => rank(a) - rank(b) || (b.startedAt?.getTime() ?? 0) - (a.startedAt?.getTime() ?? 0);
}
