/** What an instance uses, as the engine saw it at one moment. */
export interface Usage {
  /** When the engine looked, in milliseconds since the epoch. */
  readonly atMs: number;
  /** Time on any core since its start, in nanoseconds. */
  readonly cpuTotalNs: number;
  /** Without what the system would give back at once (its cache of files), as `docker stats` counts. */
  readonly memoryUsedBytes: number;
  readonly memoryLimitBytes: number;
  /** Null where it has no network of its own. */
  readonly networkReceivedBytes: number | null;
  readonly networkSentBytes: number | null;
  /** Processes and threads. */
  readonly pids: number;
}

/** How busy it was between two looks: 100 is one core all the time, 250 two and a half. */
export function cpuPercentOfCore(earlier: Usage, later: Usage): number {
  const passedNs = (later.atMs - earlier.atMs) * 1e6;
  if (passedNs <= 0) return 0;
  return Math.max(0, ((later.cpuTotalNs - earlier.cpuTotalNs) / passedNs) * 100);
}
