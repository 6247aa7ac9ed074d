import { z } from 'zod';

/** Answer of `GET /health`. `ok` and `degraded` forward requests (200); `starting` and `stopping` do not (503). */
export const Health = z.object({ status: z.enum(['ok', 'degraded', 'starting', 'stopping']), reasons: z.array(z.string()) });

export type Health = z.infer<typeof Health>;
