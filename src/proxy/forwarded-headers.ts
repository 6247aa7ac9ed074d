import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Entry } from '../security/proxy/visitors.ts';
import { HOP_BY_HOP, nominatedBy } from './hop-by-hop.ts';

export interface ForwardedHeadersOptions {
  /** Sent as `X-Request-Id`. */
  readonly requestId: string;
  /** Whether the peer is a proxy of ours, whose `X-Forwarded-*`, `Forwarded` and `Via` are believed. */
  readonly isPeerTrusted: boolean;
  /** Whether an `Authorization` carries a token of pipes, which no application may see. */
  readonly isOwnToken: (authorization: string) => boolean;
  /** Whether the request goes on as an upgrade, so that `Connection` and `Upgrade` go with it. */
  readonly isUpgrade: boolean;
  /** How its visitor was let in, where not everybody is. */
  readonly entry?: Entry | undefined;
}

/**
 * The header fields that an upstream is sent for a client's request, flat as `rawHeaders` has them: the client's in their
 * case, order and number, without hop-by-hop fields (RFC 9110 section 7.6.1), then what pipes adds. From a peer that is not
 * trusted the forwarding fields are replaced. From a trusted one `X-Forwarded-For`, `Forwarded` and `Via` are appended to, and
 * `X-Forwarded-Host` and `-Proto` stand as the outermost proxy wrote them, since applications read them as one value.
 */
export function forwardedHeaders(request: IncomingMessage, options: ForwardedHeadersOptions): string[] {
  const raw = request.rawHeaders;
  const nominated = nominatedBy(request.headers.connection);
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  const headers: string[] = [];
  let hasLength = false;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!;
    const lower = name.toLowerCase();
    if (isWithheld(lower, options.isPeerTrusted) || nominated?.has(lower)) continue;
    if (options.entry?.removed.has(lower.replaceAll('_', '-')) === true) continue;
    if (lower === 'authorization' && options.isOwnToken(raw[at + 1]!)) continue;
    // Node refuses to send the announcement without chunked framing, and no trailer could follow it.
    if (lower === 'trailer' && !isChunked) continue;
    // An upgrade's answer decides what comes next; nothing waits for a body that is not there.
    if (lower === 'expect' && options.isUpgrade) continue;
    if (lower === 'content-length') {
      hasLength = true;
      headers.push(name, plainLength(raw[at + 1]!));
      continue;
    }
    headers.push(name, raw[at + 1]!);
  }
  addFraming(headers, request, isChunked, hasLength);
  addConnection(headers, request, options);
  addOrigin(headers, request, options);
  if (options.entry) headers.push(...options.entry.added);
  return headers;
}

/** Whether the request goes on with a body, judged by its framing as RFC 9112 section 6.3 says. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
}

/**
 * Fields that do not go on: those of this hop, those that pipes writes itself, and, from a peer that is not trusted, all that an
 * application might believe of the client or of where it came to. One look-up for nearly every field.
 */
function isWithheld(lower: string, isPeerTrusted: boolean): boolean {
  const from = WITHHELD.get(lower);
  if (from !== undefined) return from === 'everybody' || !isPeerTrusted;
  if (lower.includes('_')) return isTwin(lower.replaceAll('_', '-'));
  return !isPeerTrusted && lower.startsWith('x-forwarded-');
}

/** What proxies and CDNs tell of the client besides `X-Forwarded-For`. */
const CLIENT_ADDRESS = ['x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip', 'fastly-client-ip'];

const WITHHELD: ReadonlyMap<string, 'everybody' | 'strangers'> = new Map([
  ...[...HOP_BY_HOP, 'forwarded', 'via', 'x-request-id', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'].map((name) => [name, 'everybody'] as const),
  ...CLIENT_ADDRESS.map((name) => [name, 'strangers'] as const),
]);

/**
 * With `_` for `-` a name means the same to applications behind CGI-like gateways (both become `HTTP_X_FORWARDED_FOR`), and to
 * some a `Content_Length` frames the body. Nobody sends such spellings in good faith, so they are dropped from everybody.
 */
function isTwin(name: string): boolean {
  return WITHHELD.has(name) || name.startsWith('x-forwarded-') || name === 'host' || name === 'content-length' || name === 'content-type' || name === 'authorization';
}

/** Without zeros before it, which some read as octal. */
export function plainLength(length: string): string {
  return length.length > 1 && length.startsWith('0') ? String(Number(length)) : length;
}

/** Methods for which Node adds no framing of its own; any other one without a body must say so, or Node would send it chunked. */
const METHODS_WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

function addFraming(headers: string[], request: IncomingMessage, isChunked: boolean, hasLength: boolean): void {
  // Any other coding was refused before (`hostOf`).
  if (isChunked) headers.push('Transfer-Encoding', 'chunked');
  else if (!hasLength && !METHODS_WITHOUT_BODY.has(request.method!)) headers.push('Content-Length', '0');
}

function addConnection(headers: string[], request: IncomingMessage, options: ForwardedHeadersOptions): void {
  if (options.isUpgrade) {
    headers.push('Connection', 'Upgrade', 'Upgrade', request.headers.upgrade!);
    return;
  }
  // Of `TE` only the readiness for trailers goes on: pipes takes no other coding, and each hop says it anew.
  const te = request.headers.te;
  const takesTrailers = typeof te === 'string' && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(te);
  if (takesTrailers) headers.push('Connection', 'keep-alive, TE', 'TE', 'trailers');
}

function addOrigin(headers: string[], request: IncomingMessage, options: ForwardedHeadersOptions): void {
  const peer = plainAddress(request.socket.remoteAddress ?? 'unknown');
  const host = request.headers.host ?? '';
  const proto = request.socket instanceof TLSSocket ? 'https' : 'http';
  const via = `${request.httpVersion} pipes`;
  const element = `for=${forwardedNode(peer)};host=${quoted(host)};proto=${proto}`;
  if (!options.isPeerTrusted) {
    headers.push('X-Forwarded-For', peer, 'X-Forwarded-Host', host, 'X-Forwarded-Proto', proto);
    headers.push('Forwarded', element, 'X-Request-Id', options.requestId, 'Via', via);
    return;
  }
  const given = request.headers;
  headers.push('X-Forwarded-For', appended(given['x-forwarded-for'], peer));
  headers.push('X-Forwarded-Host', joined(given['x-forwarded-host']) ?? host);
  headers.push('X-Forwarded-Proto', joined(given['x-forwarded-proto']) ?? proto);
  headers.push('Forwarded', appended(given.forwarded, element));
  headers.push('X-Request-Id', options.requestId);
  headers.push('Via', appended(given.via, via));
}

function joined(value: string | readonly string[] | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  return typeof value === 'string' ? value : value.join(', ');
}

function appended(value: string | readonly string[] | undefined, own: string): string {
  const before = joined(value);
  return before === undefined ? own : `${before}, ${own}`;
}

/** A dual-stack socket shows IPv4 peers as `::ffff:192.0.2.1`. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** RFC 7239 section 6: IPv6 addresses stand in brackets, and so in quotes. */
function forwardedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address;
}

const HTTP_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function quoted(value: string): string {
  return HTTP_TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}
