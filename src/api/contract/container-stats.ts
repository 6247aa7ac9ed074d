import { z } from 'zod';

/** Answer of `GET ./container/stats`: what the container uses now. */
export const ContainerStats = z.object({
  reference: z.string(),
  containerId: z.string(),
  measuredAt: z.string().describe('When the engine looked (RFC 3339)'),
  cpu: z.object({
    totalNs: z.number().describe('Time on any core since its start'),
    percentOfCore: z.number().describe('Over about the last second; 100 is one core all the time'),
  }),
  memory: z.object({
    usedBytes: z.number().describe('Without the cache of files that the system would give back'),
    limitBytes: z.number(),
  }),
  network: z.object({ receivedBytes: z.number(), sentBytes: z.number() }).nullable().describe('Since its start; null where it has no network of its own'),
  pids: z.number().describe('Processes and threads'),
});

export type ContainerStats = z.infer<typeof ContainerStats>;
