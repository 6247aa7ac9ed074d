import { z } from 'zod';
import { Fault } from './faults.ts';

/** An error as RFC 9457 writes it, with pipes' `code`; other members may follow. */
export const ProblemDocument = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  /** With `invalid_request` and `forbidden`: each thing that is wrong. */
  faults: z.array(Fault).optional(),
  /** Last lines of the container's output, for callers who may read them. */
  lines: z.array(z.string()).optional(),
});

export type ProblemDocument = z.infer<typeof ProblemDocument>;
