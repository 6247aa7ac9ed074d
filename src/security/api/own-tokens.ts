import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Tokens that pipes makes: `pipes_` and 256 random bits in base64url. */
const PREFIX = 'pipes_';
const MADE = /^pipes_[A-Za-z0-9_-]{43}$/;

export function makeTokenText(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

/** Whether it has the form of a token that pipes made: one that cannot be guessed. */
export function looksMade(token: string): boolean {
  return MADE.test(token);
}

/** Hex, as `StoredToken` keeps it. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Takes as long for every pair of hashes. */
export function sameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, 'hex'), Buffer.from(other, 'hex')];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The token of `Authorization: Bearer …` (RFC 6750); the scheme knows no case, and `API_TOKEN` may hold spaces. Undefined for every other header. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer +(\S(?:.*\S)?) *$/i.exec(authorization ?? '')?.[1];
}

/**
 * Whether an `Authorization` value carries a token of pipes in any of the ways that clients send one: as Bearer, as `token T`,
 * as Basic user or password, or bare.
 * @param isApiToken tells the setting `API_TOKEN`, which may be any text
 */
export function carriesOwnToken(authorization: string, isApiToken: (token: string) => boolean): boolean {
  const space = authorization.indexOf(' ');
  const scheme = space < 0 ? '' : authorization.slice(0, space).toLowerCase();
  const rest = authorization.slice(space + 1).trim();
  const texts = [rest, authorization.trim()];
  if (scheme === 'basic') {
    const decoded = Buffer.from(rest, 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    texts.push(colon < 0 ? decoded : decoded.slice(0, colon), colon < 0 ? '' : decoded.slice(colon + 1));
  }
  return texts.some((text) => text.startsWith(PREFIX) || isApiToken(text));
}
