import { setTimeout as delay } from 'node:timers/promises';
import type { Backend } from './backend.ts';
import type { InstanceReport } from './instance-control.ts';
import { cpuPercentOfCore, type Usage } from './usage.ts';

export interface InstanceUsageOptions {
  readonly backend: Pick<Backend, 'stats'>;
  /** How long `memory` may take in all; what is not known by then is left out. */
  readonly memoryTimeoutMs: number;
}

/** A look at one instance, with how busy it was a moment before. */
export interface MeasuredUsage extends Usage {
  /** 100 is one core. */
  readonly cpuPercentOfCore: number;
}

/** What instances use of the machine. Asking is no use of them: it wakes nothing and keeps nothing awake. */
export class InstanceUsage {
  readonly #options: InstanceUsageOptions;

  constructor(options: InstanceUsageOptions) {
    this.#options = options;
  }

  /**
   * Takes about a second: the engine is asked twice. Undefined for one that neither runs nor is paused.
   * @throws PipesError `engine_unavailable`, or the signal's reason
   */
  async measure(report: InstanceReport, signal: AbortSignal): Promise<MeasuredUsage | undefined> {
    const { containerId } = report;
    if (containerId === null || !HAS_PROCESSES.has(report.state)) return undefined;
    const earlier = await this.#options.backend.stats(containerId, signal);
    if (!earlier) return undefined;
    await delay(BETWEEN_LOOKS_MS, undefined, { signal });
    const later = await this.#options.backend.stats(containerId, signal);
    return later && { ...later, cpuPercentOfCore: cpuPercentOfCore(earlier, later) };
  }

  /** Bytes of memory by container id, of those that are known in time. Never throws. */
  async memory(reports: readonly InstanceReport[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const asked = reports.filter(({ state, containerId }) => containerId !== null && HAS_PROCESSES.has(state)).map(({ containerId }) => containerId!);
    const deadline = AbortSignal.timeout(this.#options.memoryTimeoutMs);
    const worker = async (): Promise<void> => {
      for (let id = asked.pop(); id !== undefined && !deadline.aborted; id = asked.pop()) {
        const usage = await this.#options.backend.stats(id, deadline).catch(() => undefined);
        if (usage) found.set(id, usage.memoryUsedBytes);
      }
    };
    await Promise.all(Array.from({ length: Math.min(LOOKS_AT_ONCE, asked.length) }, worker));
    return found;
  }
}

/** A paused one does nothing, but still holds its memory. */
const HAS_PROCESSES: ReadonlySet<string> = new Set(['starting', 'running', 'paused', 'stopping']);

/** Engines that look anew at each question answer at once; too short a time between two looks says little. */
const BETWEEN_LOOKS_MS = 250;

/** Docker 20.10 looks once a second and answers all who asked before together, so few at once would take seconds. */
const LOOKS_AT_ONCE = 64;
