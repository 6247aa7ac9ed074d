import { z } from 'zod';
import { TargetConfig } from '../../targets/target-config.ts';
import { ProblemDocument } from './problem-document.ts';
import { WakeTiming } from './wake-timing.ts';

/** The state of a target's container, as INTERFACE 4 has it. Times are RFC 3339. */
export const ContainerState = z.object({
  reference: z.string(),
  image: z.string(),
  digest: z.string().nullable(),
  state: z.enum(['absent', 'pulling', 'creating', 'starting', 'running', 'paused', 'stopping', 'stopped', 'failed']),
  containerId: z.string().nullable(),
  managed: z.boolean(),
  startedAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
  /** Requests and upgraded connections open now. */
  inFlight: z.number(),
  upstream: z.object({ host: z.string(), port: z.number() }).nullable(),
  /** Why the last start or replacement failed. */
  error: ProblemDocument.nullable(),
  /** The last wake that this process has seen. */
  lastWake: WakeTiming.nullable(),
  /** Its own stored configuration, without what it has from its repository. */
  config: TargetConfig,
});

export type ContainerState = z.infer<typeof ContainerState>;

/** An entry of `GET /containers`. */
export const ListedContainer = ContainerState.extend({
  memoryUsedBytes: z.number().nullable().describe('As memory.usedBytes of its stats; null when nothing of it runs, or the engine did not say in time'),
});

export type ListedContainer = z.infer<typeof ListedContainer>;
