import type { Usage } from '../instances/usage.ts';

/** As much as is read of what the engine tells (Docker Engine API, `GET /containers/{id}/stats`). */
export interface EngineStats {
  readonly read: string;
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: { readonly usage?: number; readonly limit?: number; readonly stats?: Readonly<Record<string, number>> };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>>;
  readonly pids_stats?: { readonly current?: number };
}

/** What a container uses; undefined for one that does not run, of which the engine tells nothing but zeros. */
export function readUsage(stats: EngineStats): Usage | undefined {
  const { usage: memoryBytes, limit = 0, stats: memory = {} } = stats.memory_stats ?? {};
  const atMs = Date.parse(stats.read);
  if (memoryBytes === undefined || stats.read.startsWith('0001-') || Number.isNaN(atMs)) return undefined;
  const networks = stats.networks && Object.values(stats.networks);
  return {
    atMs,
    cpuTotalNs: stats.cpu_stats?.cpu_usage?.total_usage ?? 0,
    memoryUsedBytes: Math.max(0, memoryBytes - cacheBytes(memory)),
    memoryLimitBytes: limit,
    networkReceivedBytes: networks?.reduce((sum, { rx_bytes: bytes }) => sum + bytes, 0) ?? null,
    networkSentBytes: networks?.reduce((sum, { tx_bytes: bytes }) => sum + bytes, 0) ?? null,
    pids: stats.pids_stats?.current ?? 0,
  };
}

/** Control groups of version 1 and version 2 name it differently; what Docker's own client takes off. */
function cacheBytes(memory: Readonly<Record<string, number>>): number {
  return memory['total_inactive_file'] ?? memory['inactive_file'] ?? 0;
}
