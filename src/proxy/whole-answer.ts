import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { hasBody } from './forwarded-headers.ts';
import { closeGently, discardBody } from './unread-body.ts';

/** An answer that is there as a whole, with its framing. */
export interface WholeAnswer {
  readonly status: number;
  /** Named, since one that an upstream's answer left behind would stand. */
  readonly reason: string;
  /** Flat, as `rawHeaders` has them. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/**
 * Answers a request. Where much of its body is still to come the connection ends after this, but only once the client has had
 * time to read it.
 * @param isTooLate the rest of the body is not to be waited for, however little it is
 */
export function sendWhole(request: IncomingMessage, response: ServerResponse, { status, reason, headers, body }: WholeAnswer, isTooLate = false): void {
  const timer = setTimeout(() => response.destroy(), UNREAD_MS);
  response.once('close', () => clearTimeout(timer));
  const isBodyOpen = isTooLate || hasMuchToCome(request);
  response.writeHead(status, reason, [...headers, ...(isBodyOpen ? ['Connection', 'close'] : [])]);
  if (!isBodyOpen) {
    request.resume();
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  // The length is told, so the answer is whole for the client before it is for Node, which would close at once.
  response.flushHeaders();
  if (request.method !== 'HEAD') response.write(body);
  discardBody(request, () => response.end());
}

/** The same on a bare connection, which ends with it. */
export function writeWhole(socket: Duplex, { status, reason, headers, body }: WholeAnswer, withBody: boolean): void {
  const fields = [...headers, 'Date', new Date().toUTCString(), 'Connection', 'close'];
  const lines = fields.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${fields[at + 1]}\r\n`] : []));
  const head = Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n`, 'latin1');
  socket.write(withBody ? Buffer.concat([head, body]) : head);
  closeGently(socket);
}

/** How long a client may take to read an answer of pipes' own. */
const UNREAD_MS = 60_000;

/** Less than this is read to its end, so that the connection can serve on. */
const SMALL_BODY_BYTES = 65_536;

function hasMuchToCome(request: IncomingMessage): boolean {
  if (request.complete || !hasBody(request)) return false;
  return request.headers['transfer-encoding'] !== undefined || request.headers.expect !== undefined || Number(request.headers['content-length']) > SMALL_BODY_BYTES;
}
