import type { IncomingMessage } from 'node:http';
import { plainLength } from './forwarded-headers.ts';
import { isHopByHop, nominatedBy } from './hop-by-hop.ts';
import { leadsToPipes } from './own-redirect.ts';

/**
 * The header fields that a client is sent for an upstream's answer, flat as `rawHeaders` has them: the upstream's in their
 * case, order and number, without hop-by-hop fields (RFC 9110 section 7.6.1) and redirects into pipes' own paths. How the body is framed for the client is left to
 * Node, which knows the client's version.
 * @param request the client's request that is answered
 */
export function answerHeaders(answer: IncomingMessage, request: IncomingMessage): string[] {
  const raw = answer.rawHeaders;
  const nominated = nominatedBy(answer.headers.connection);
  const status = answer.statusCode!;
  const isChunkedOn = mayCarryBody(request.method!, status) && answer.headers['content-length'] === undefined && request.httpVersion !== '1.0';
  const headers: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const lower = raw[at]!.toLowerCase();
    if (isHopByHop(lower) || nominated?.has(lower)) continue;
    // RFC 9110 section 8.6: no length on 204. Node refuses to announce trailers where no chunk can carry them.
    if (status === 204 && lower === 'content-length') continue;
    if (lower === 'trailer' && !isChunkedOn) continue;
    if (lower === 'location' && status >= 300 && status < 400 && leadsToPipes(raw[at + 1]!)) continue;
    headers.push(raw[at]!, lower === 'content-length' ? plainLength(raw[at + 1]!) : raw[at + 1]!);
  }
  // 426 without `Upgrade` says nothing (RFC 9110 section 15.5.22).
  if (status === 426 && answer.headers.upgrade !== undefined) headers.push('Upgrade', answer.headers.upgrade, 'Connection', 'Upgrade, close');
  return headers;
}

/**
 * The head of a 101 as an object, since http-proxy writes it from `headers`: here `Connection` and `Upgrade` are kept. Names
 * that come more than once keep their first spelling.
 */
export function switchHeaders(answer: IncomingMessage): Record<string, string | string[]> {
  const raw = answer.rawHeaders;
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  const spelling = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const lower = raw[at]!.toLowerCase();
    if (lower === 'content-length' || (lower !== 'connection' && lower !== 'upgrade' && isHopByHop(lower))) continue;
    const name = spelling.get(lower) ?? raw[at]!;
    spelling.set(lower, name);
    const before = headers[name];
    headers[name] = before === undefined ? raw[at + 1]! : [...(typeof before === 'string' ? [before] : before), raw[at + 1]!];
  }
  return headers;
}

/** Whether an answer of this kind has a body at all, whatever its header says (RFC 9112 section 6.3). */
function mayCarryBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304;
}
