import { z } from 'zod';
import { parseDuration } from '../../core/durations.ts';

/** Longest life that can be given to a token; who wants more leaves `expires` out. */
const LONGEST_MS = 3650 * 24 * 3_600_000;

/** Body of `POST /tokens`. */
export const NewToken = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, 'must be up to 64 letters, digits or . _ @ -, and begin with a letter or digit'),
  /** `admin`, `deploy:<pattern>`, `read:<pattern>`; the handler reads them. */
  scopes: z.array(z.string()).min(1, 'must name at least one scope').max(64),
  /** A duration from now (`30d`), or a time (RFC 3339). Without it the token does not expire. */
  expires: z.string().refine(isExpiry, 'must be a duration such as 30d (up to 3650d), or a time such as 2030-01-31T00:00:00Z').optional(),
});

export type NewToken = z.infer<typeof NewToken>;

/** Answer of `POST /tokens`: the only time that the token's text is shown. */
export const MadeToken = z.object({ token: z.string(), name: z.string(), scopes: z.array(z.string()), expiresAt: z.string().nullable() });

export type MadeToken = z.infer<typeof MadeToken>;

/** An entry of `GET /tokens`. */
export const TokenEntry = z.object({ name: z.string(), scopes: z.array(z.string()), createdAt: z.string(), expiresAt: z.string().nullable() });

export type TokenEntry = z.infer<typeof TokenEntry>;

/** When a token with this `expires` ends, in milliseconds since 1970. */
export function expiryMs(expires: string, nowMs: number): number {
  const durationMs = parseDuration(expires);
  return durationMs === undefined ? Date.parse(expires) : nowMs + durationMs;
}

function isExpiry(text: string): boolean {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return durationMs > 0 && durationMs <= LONGEST_MS;
  return z.iso.datetime({ offset: true }).safeParse(text).success;
}
