import { Agent } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import type { PipesProcess } from '../lab/pipes-process.ts';
import { BrokeOff, exchange, TypedError, visitElsewhere, VISITS, type Visitor } from './visits.ts';

export interface SoakOptions {
  readonly pipes: PipesProcess;
  readonly dockerHost: string;
  readonly apps: readonly App[];
  /** Names no image. */
  readonly unknownHosts: readonly string[];
  readonly seed: number;
}

export interface SoakOutcome {
  /** Exchanges by kind; also those that were excused. */
  readonly counts: Readonly<Record<string, number>>;
  /** Typed errors and broken answers of targets whose container somebody had just killed. */
  readonly excused: readonly string[];
  /** All else that was not as it should be. */
  readonly faults: readonly string[];
}

/**
 * A small town on one pipes: each app has a visitor of its own who comes in bursts and stays away for times that let every tier of sleep
 * pass, while someone changes configurations and someone else kills, stops and removes containers behind pipes' back.
 */
export class Soak {
  readonly #options: SoakOptions;
  readonly #containers: EngineContainers;
  readonly #disturbedAtMs = new Map<App, number>();
  readonly #counts: Record<string, number> = {};
  readonly #excused: string[] = [];
  readonly #faults: string[] = [];
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 32 });
  #random: number;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#containers = new EngineContainers(options.dockerHost);
    this.#random = options.seed;
  }

  /** Each kind of visit to each app, one after the other: whatever is made at its first use is there then. */
  async warmUp(): Promise<void> {
    for (const app of this.#options.apps) for (const kind of Object.keys(VISITS)) await this.#visit(kind, app);
    await this.#elsewhere();
    for (const app of this.#options.apps) await this.#configure(app);
  }

  async run(forMs: number): Promise<SoakOutcome> {
    const ending = AbortSignal.timeout(forMs);
    await Promise.all([
      ...this.#options.apps.map((app) => this.#repeat(ending, () => this.#burst(app), [50, 400, 1_300, 2_800, 4_500, 8_000])),
      this.#repeat(ending, () => this.#elsewhere(), [200, 700]),
      this.#repeat(ending, () => this.#configure(this.#pick(this.#options.apps)), [1_500, 4_000]),
      this.#repeat(ending, () => this.#disturb(this.#pick(this.#options.apps)), [1_000, 3_000]),
    ]);
    this.#agent.destroy();
    return { counts: this.#counts, excused: this.#excused, faults: this.#faults };
  }

  async #repeat(ending: AbortSignal, once: () => Promise<void>, pausesMs: readonly number[]): Promise<void> {
    while (!ending.aborted) {
      await once();
      await wait(this.#pick(pausesMs), undefined, { signal: ending }).catch(() => undefined);
    }
  }

  async #burst(app: App): Promise<void> {
    const kinds = Object.keys(VISITS);
    const size = 1 + Math.floor(this.#next() * 5);
    await Promise.all(Array.from({ length: size }, () => this.#visit(this.#pick(kinds), app)));
  }

  async #visit(kind: string, app: App): Promise<void> {
    await this.#try(kind, app, (visitor) => VISITS[kind]!(visitor, app));
  }

  async #elsewhere(): Promise<void> {
    await this.#try('elsewhere', undefined, (visitor) => visitElsewhere(visitor, this.#pick(this.#options.unknownHosts)));
  }

  async #configure(app: App): Promise<void> {
    const body = { env: { ROUND: String(this.#counts['configure'] ?? 0) } };
    const { token } = this.#options.pipes;
    await this.#try('configure', app, async (visitor) => {
      await exchange(visitor, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', body, token });
    });
  }

  /** What people at the engine's own command line do. */
  async #disturb(app: App): Promise<void> {
    const [id] = await this.#containers.of(app.reference);
    if (id === undefined) return;
    const order = this.#pick(['kill', 'stop', 'restart', 'remove'] as const);
    this.#disturbedAtMs.set(app, performance.now());
    this.#count(`docker ${order}`);
    // It may be asleep, or gone by now; then there was nothing to disturb.
    await this.#containers[order](id).catch(() => undefined);
    this.#disturbedAtMs.set(app, performance.now());
  }

  async #try(kind: string, app: App | undefined, what: (visitor: Visitor) => Promise<void>): Promise<void> {
    const startedMs = performance.now();
    this.#count(kind);
    try {
      await what({ port: this.#options.pipes.port, agent: this.#agent });
    } catch (error) {
      const line = `${kind} ${app?.reference ?? ''} after ${Math.round(performance.now() - startedMs)} ms: ${String(error)}`;
      const isExcusable = error instanceof TypedError || error instanceof BrokeOff;
      const disturbedMs = app && this.#disturbedAtMs.get(app);
      if (isExcusable && disturbedMs !== undefined && disturbedMs > startedMs - DISTURBED_FOR_MS) this.#excused.push(line);
      else this.#faults.push(line);
    }
  }

  #count(kind: string): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#next() * choices.length)]!;
  }

  /** Numerical Recipes' generator: the same seed makes the same choices, if not the same order of events. */
  #next(): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#random / 2 ** 32;
  }
}

/** A container that was killed while it started fails its wake, and the next try is 2 s later at the earliest, the one after that 4 s. */
const DISTURBED_FOR_MS = 8_000;
