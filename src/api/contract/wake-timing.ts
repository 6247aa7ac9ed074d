import { z } from 'zod';

/** How long the parts of a wake took, in milliseconds; 0 for what was not needed. */
export const WakeTiming = z.object({
  from: z.enum(['absent', 'stopped', 'paused', 'running']).describe('What it was before; running: it ran already and only had to answer'),
  pullMs: z.number(),
  createMs: z.number(),
  startMs: z.number(),
  readyMs: z.number().describe('From started to the first answer of its port'),
  totalMs: z.number(),
});

export type WakeTiming = z.infer<typeof WakeTiming>;
