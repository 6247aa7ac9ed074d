import type { IncomingMessage } from 'node:http';
import { PipesError } from '../core/errors.ts';

/** Paths at and below this one are pipes' own on every host. Only these very characters: an encoded spelling is the app's. */
export const LOCAL_PREFIX = '/__proxyapi';

/**
 * The one host that a request names.
 * @throws PipesError `invalid_request` for no Host or several (RFC 9112, 3.2), or a target whose host is another one
 */
export function hostOf(request: IncomingMessage): string {
  const raw = request.rawHeaders;
  let host: string | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (host !== undefined) throw new PipesError('invalid_request', 'The request has more than one Host header.');
    host = raw[at + 1]!;
  }
  if (host === undefined) throw new PipesError('invalid_request', 'The request has no Host header, so it names nothing to run.');
  if (request.url!.charCodeAt(0) !== SLASH) makeOriginForm(request, host);
  return host;
}

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
  const match = /^http:\/\/([^/?#]*)([/?].*)?$/i.exec(request.url!);
  if (!match) throw new PipesError('invalid_request', 'The request target is neither a path nor an http address.');
  if (match[1]!.toLowerCase() !== host.toLowerCase()) throw new PipesError('invalid_request', 'The request target and the Host header name different hosts.');
  const path = match[2] ?? '/';
  request.url = path.startsWith('?') ? `/${path}` : path;
}
