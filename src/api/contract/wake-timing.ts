import { z } from 'zod';

/** How long the parts of a wake took, in milliseconds; 0 for what was not needed. */
export const WakeTiming = z.object({
  /** What it was before: `running` means that it ran already and only had to answer. */
  from: z.enum(['absent', 'stopped', 'paused', 'running']),
  pullMs: z.number(),
  createMs: z.number(),
  startMs: z.number(),
  /** From started to the first answer of its port. */
  readyMs: z.number(),
  totalMs: z.number(),
});

export type WakeTiming = z.infer<typeof WakeTiming>;
