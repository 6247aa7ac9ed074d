import { z } from 'zod';

/** Answer of `GET ./container/stats`: what the container uses now. */
export const ContainerStats = z.object({
  reference: z.string(),
  containerId: z.string(),
  /** When the engine looked (RFC 3339). */
  measuredAt: z.string(),
  cpu: z.object({
    /** Time on any core since its start. */
    totalNs: z.number(),
    /** Over about the last second; 100 is one core all the time. */
    percentOfCore: z.number(),
  }),
  memory: z.object({
    /** Without the cache of files that the system would give back. */
    usedBytes: z.number(),
    limitBytes: z.number(),
  }),
  /** Since its start; null where it has no network of its own. */
  network: z.object({ receivedBytes: z.number(), sentBytes: z.number() }).nullable(),
  /** Processes and threads. */
  pids: z.number(),
});

export type ContainerStats = z.infer<typeof ContainerStats>;
