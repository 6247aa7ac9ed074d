import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { hasBody } from './forwarded-headers.ts';

/**
 * Whether a request that asks for an upgrade is to be served as if it had not asked, which every server may do (RFC 9110 section
 * 7.8). Two kinds are: `h2c`, which the standard has withdrawn (RFC 9113 section 3.1), which Java's client still asks for with
 * every request, and behind which a client could send requests that pipes never sees; and requests with a body, since Node
 * stops reading HTTP at the end of the head.
 */
export function mustServeWithoutUpgrade(request: IncomingMessage): boolean {
  // HTTP/1.0 knows no upgrade, and what is faulty is told so as an ordinary request.
  return request.httpVersion !== '1.1' || hasBody(request) || request.headers.upgrade === undefined || request.headers.upgrade.split(',').some((protocol) => protocol.trim().toLowerCase() === 'h2c');
}

/**
 * Gives the connection of an `upgrade` event back to its server, with the request's head as it was but for the wish to
 * upgrade; the server's `request` event follows. Listeners of the server's `connection` event hear of the socket again.
 */
export function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (socket.destroyed) return;
  let text = `${request.method!} ${request.url!} HTTP/${request.httpVersion}\r\n`;
  const raw = request.rawHeaders;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (name === 'upgrade' || name === 'http2-settings') continue;
    const value = name === 'connection' ? withoutUpgrade(raw[at + 1]!) : raw[at + 1]!;
    if (name === 'connection' && value === '') continue;
    text += `${raw[at]!}: ${value}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

function withoutUpgrade(connection: string): string {
  return connection.split(',').map((option) => option.trim()).filter((option) => !/^(?:upgrade|http2-settings)$/i.test(option)).join(', ');
}
