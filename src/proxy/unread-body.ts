import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** How long pipes goes on reading what nobody wants. Enough for a client to notice the answer and stop. */
const LINGER_MS = 5000;

/**
 * Reads and drops the rest of a request body, so that the answer is not lost: a connection that is closed with bytes unread is
 * reset, and a reset can overtake the answer at the client. Bounded in time; the connection is cut then.
 * @param done called once, when the body has ended, the connection is gone, or the time is over
 */
export function discardBody(request: IncomingMessage, done?: () => void, lingerMs: number = LINGER_MS): void {
  if (request.complete || request.destroyed) {
    request.resume();
    done?.();
    return;
  }
  const { socket } = request;
  const finish = (): void => {
    clearTimeout(timer);
    request.off('end', finish);
    request.off('close', finish);
    socket.off('close', finish);
    done?.();
  };
  const timer = setTimeout(() => {
    finish();
    if (!request.complete) socket.destroySoon();
  }, lingerMs);
  request.once('end', finish);
  request.once('close', finish);
  // Once its response is over, Node no longer tells a request that its connection closed.
  socket.once('close', finish);
  request.resume();
}

/** Says goodbye on a connection after its last byte was written: reads on until the peer closes too, for a bounded time. */
export function closeGently(socket: Duplex, lingerMs: number = LINGER_MS): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  socket.once('error', () => socket.destroy());
  socket.end();
  socket.resume();
}
