import type { IncomingMessage } from 'node:http';

/**
 * The address of the client that a request is counted for: the peer, or what the outermost trusted proxy was told, read from
 * the right, since everything left of the last untrusted entry may be invented.
 */
export function clientOf(request: IncomingMessage, isTrusted: (address: string) => boolean): string | undefined {
  let client = request.socket.remoteAddress;
  if (client === undefined || !isTrusted(client)) return client;
  const forwarded = request.headers['x-forwarded-for'];
  const hops = (Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? '')).split(',').map((hop) => hop.trim()).filter((hop) => hop !== '');
  for (const hop of hops.reverse()) {
    client = hop;
    if (!isTrusted(hop)) break;
  }
  return client;
}
