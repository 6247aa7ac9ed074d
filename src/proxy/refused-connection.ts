import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { PipesError } from '../core/errors.ts';
import { sendErrorOnSocket } from './pages.ts';

const refused = Symbol('refused');
const answer = Symbol('answer');

/** Nobody could tell what the request was. */
const NOT_UNDERSTOOD = Symbol('not understood');

/** What Node hangs on the connections of its server: the answer under way, and the request that is being read. */
type ServedSocket = Duplex & { [refused]?: IncomingMessage | typeof NOT_UNDERSTOOD; _httpMessage?: ServerResponse | null; parser?: { incoming: ReadRequest | null } | null };
type ReadRequest = IncomingMessage & { [answer]?: ServerResponse };

/** Told of each request, so that its exchange can be ended if the rest of it turns out to be faulty. */
export function noteAnswer(request: IncomingMessage, response: ServerResponse): void {
  (request as ReadRequest)[answer] = response;
}

/**
 * Answers a faulty message and ends its connection: nobody can tell what the bytes behind it are (RFC 9112 section 11.2), so
 * they are read and dropped. Answers to requests before it go out first and whole. Where the fault is in a body, its exchange
 * ends at once, as if the client had left.
 * @param request undefined when none was understood
 */
export function refuseConnection(request: IncomingMessage | undefined, connection: Duplex, error: PipesError): void {
  const socket = connection as ServedSocket;
  if (isRefused(socket)) return;
  const faulty = request ?? socket.parser?.incoming ?? undefined;
  socket[refused] = request ?? (faulty && !faulty.complete ? faulty : NOT_UNDERSTOOD);
  request?.resume();
  if (request === undefined) endExchange(faulty);
  afterAnswersDue(socket, () => sendErrorOnSocket(request, socket, error));
}

function endExchange(faulty: ReadRequest | undefined): void {
  const due = faulty?.[answer];
  if (faulty?.complete === false && due?.headersSent === false) due.emit('close');
}

/** Whether everything that still comes on a connection is to be dropped. Read for every request. */
export function isRefused(connection: Duplex): boolean {
  return (connection as ServedSocket)[refused] !== undefined;
}

/**
 * Goes on when every answer that is due on a connection has gone out: to take the connection over, or to write on it. The request
 * that is refused is due none. Does not go on when that one's answer has begun, or the connection is gone.
 */
export function afterAnswersDue(connection: Duplex, goOn: () => void): void {
  const socket = connection as ServedSocket;
  const due = socket._httpMessage;
  if (!due) return goOn();
  if (due.req === socket[refused] && !due.writableEnded) {
    if (due.headersSent) return void socket.destroy();
    due.detachSocket(due.req.socket);
    return goOn();
  }
  // Whoever takes the connection over has lost Node's own listener, and an answer that waits for it would wait for ever.
  const drain = (): void => void due.emit('drain');
  socket.on('drain', drain);
  due.once('close', () => {
    socket.off('drain', drain);
    if (!socket.destroyed) afterAnswersDue(socket, goOn);
  });
}
