import type { IncomingMessage } from 'node:http';
import { PipesError } from '../core/errors.ts';

/** Paths at and below this one are pipes' own on every host. Only these very characters: an encoded spelling is the app's. */
export const LOCAL_PREFIX = '/__proxyapi';

/**
 * The one host that a request names. Refuses on the way what could be understood in two ways, though Node's parser takes it;
 * reads each field once, since every request comes through here.
 * @throws PipesError `invalid_request` for no Host or several (RFC 9112, 3.2), a target whose host is another one, a fragment in
 *   it, another version than HTTP/1, or a transfer coding that is not just `chunked`
 */
export function hostOf(request: IncomingMessage): string {
  const raw = request.rawHeaders;
  let host: string | undefined;
  let isChunked = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    if (name.length === HOST.length && name.toLowerCase() === HOST) {
      if (host !== undefined) throw new PipesError('invalid_request', 'The request has more than one Host header.');
      host = raw[at + 1]!;
    } else if (name.length === TRANSFER_ENCODING.length && name.toLowerCase() === TRANSFER_ENCODING) {
      // RFC 9112, 6.1: other codings may be refused, and HTTP/1.0 knows none, so some would not see where the body ends.
      if (isChunked || raw[at + 1]!.toLowerCase() !== 'chunked' || request.httpVersion !== '1.1') throw new PipesError('invalid_request', 'The body may come with one Transfer-Encoding, `chunked`, in HTTP/1.1.');
      isChunked = true;
    }
  }
  if (request.httpVersionMajor !== 1) throw new PipesError('invalid_request', 'This port speaks HTTP/1.1.');
  if (host === undefined) throw new PipesError('invalid_request', 'The request has no Host header, so it names nothing to run.');
  if (request.url!.charCodeAt(0) !== SLASH) makeOriginForm(request, host);
  // RFC 9112, 3.2: a fragment never comes in a request; some would cut there, and some would not.
  if (request.url!.includes('#')) throw new PipesError('invalid_request', 'The request target has a fragment.');
  return host;
}

const HOST = 'host';
const TRANSFER_ENCODING = 'transfer-encoding';

/** Whether the path of a request target is pipes' own. */
export function isLocal(url: string): boolean {
  if (!url.startsWith(LOCAL_PREFIX)) return false;
  const next = url.charCodeAt(LOCAL_PREFIX.length);
  return Number.isNaN(next) || next === SLASH || next === QUESTION_MARK;
}

/** The path without its query, which may hold secrets; for logs. */
export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

/** RFC 9112, 3.2.2 and 3.2.4: a server takes absolute-form too, and `*` for OPTIONS. Two different hosts are refused. */
function makeOriginForm(request: IncomingMessage, host: string): void {
  if (request.url === '*' && request.method === 'OPTIONS') return;
  const match = /^http:\/\/([^/?#]*)([/?].*)?$/is.exec(request.url!);
  if (!match) throw new PipesError('invalid_request', 'The request target is neither a path nor an http address.');
  if (match[1]!.toLowerCase() !== host.toLowerCase()) throw new PipesError('invalid_request', 'The request target and the Host header name different hosts.');
  const path = match[2] ?? '/';
  request.url = path.startsWith('?') ? `/${path}` : path;
}
