/**
 * Header fields that belong to one connection and not to the message (RFC 9110 section 7.6.1), and the ones that each side
 * names in its own `Connection` field. The two `Proxy-` fields of authentication speak to a proxy that the client chose; pipes
 * is none, and an application behind it must not appear as one. `Proxy` is no field at all, but CGI-like gateways make the variable
 * `HTTP_PROXY` of it, which HTTP clients obey (CVE-2016-5385). `X-Pipes-Token` speaks to pipes alone.
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'x-pipes-token',
]);

/**
 * Fields that `Connection` cannot name away. Without this a client could strip what pipes vouches for, or change where a
 * message ends.
 */
const NOT_NOMINABLE: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'trailer',
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
]);

export function isHopByHop(lowerCaseName: string): boolean {
  return HOP_BY_HOP.has(lowerCaseName);
}

/** The lower-case names that a `Connection` field removes besides the fixed ones; undefined, as nearly always, for none. */
export function nominatedBy(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  const names = connection
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'close' && !HOP_BY_HOP.has(name) && !NOT_NOMINABLE.has(name));
  return names.length === 0 ? undefined : new Set(names);
}

/**
 * Fields that must not arrive as trailers, since they frame, route, authenticate, modify the request or control the answer (RFC
 * 9110 section 6.5.1): who merges trailers into the head would believe them.
 */
const NEVER_TRAILERS: ReadonlySet<string> = new Set([
  ...['host', 'content-length', 'content-encoding', 'content-type', 'content-range', 'trailer'],
  ...['authorization', 'cookie', 'set-cookie', 'www-authenticate', 'forwarded', 'via', 'x-request-id', 'x-real-ip'],
  ...['cache-control', 'expect', 'max-forwards', 'pragma', 'range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'],
  ...['age', 'date', 'expires', 'location', 'retry-after', 'vary', 'warning'],
]);

/**
 * Received trailers (flat, as `rawTrailers` has them) as the pairs that go on; case, order and duplicates are kept.
 * @param removed more that do not, in lower case with `-` for `_`
 */
export function trailersToSend(rawTrailers: readonly string[], removed?: ReadonlySet<string>): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawTrailers.length; at += 2) {
    const lower = rawTrailers[at]!.toLowerCase().replaceAll('_', '-');
    if (HOP_BY_HOP.has(lower) || NEVER_TRAILERS.has(lower) || lower.startsWith('x-forwarded-')) continue;
    if (removed?.has(lower) === true) continue;
    pairs.push([rawTrailers[at]!, rawTrailers[at + 1]!]);
  }
  return pairs;
}
