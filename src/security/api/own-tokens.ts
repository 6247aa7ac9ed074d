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
 * Whether an `Authorization` value carries a whole token of pipes, in whatever way a client wrote it: Bearer, `token T`, any other
 * scheme, bare, as Basic user or password, as a parameter, or as one of several credentials. Asked for every request with such
 * a field, so its time is linear in the value's length.
 * @param isApiToken tells the setting `API_TOKEN`, which may be any text; undefined where there is none
 */
export function carriesOwnToken(authorization: string, isApiToken: ((token: string) => boolean) | undefined): boolean {
  const texts = [authorization];
  for (const [, encoded] of authorization.matchAll(BASIC)) texts.push(Buffer.from(encoded!, 'base64').toString('utf8'));
  if (texts.some((text) => text.includes(PREFIX) && OWN.test(text))) return true;
  return isApiToken !== undefined && texts.some((text) => piecesOf(text).some(isApiToken));
}

/** The credentials of RFC 7617, wherever they stand in the value. */
const BASIC = /(?<![^\s,])basic\s+([^\s,]+)/gi;

/** Where a token can begin (after nothing, a blank, a comma, the colon of Basic) anything with the prefix counts; elsewhere a made token does. */
const OWN = /(?<![^\s,:])pipes_|(?<![A-Za-z0-9_-])pipes_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/;

const SEPARATORS = /[\s,;:="']+/;

/** Its words; and since `API_TOKEN` may hold separators itself: all of it, what follows a scheme or a user name, and what stands before a colon. */
function piecesOf(text: string): string[] {
  const first = SEPARATORS.exec(text);
  const rest = first === null ? '' : text.slice(first.index + first[0].length);
  return [text.trim(), rest.trim(), text.slice(0, Math.max(0, text.indexOf(':'))), text.slice(text.indexOf(':') + 1).trim(), ...text.split(SEPARATORS)];
}
