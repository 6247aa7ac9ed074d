import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Reference } from '../targets/reference.ts';

/** Where a request that pipes answers itself was sent: a platform host, or below `/__proxyapi` of a target's host. */
export type LocalPlace = { readonly kind: 'platform' } | { readonly kind: 'target'; readonly reference: Reference };

/** Answers requests that are not forwarded; the API, later git. */
export interface LocalHandler {
  request(request: IncomingMessage, response: ServerResponse, place: LocalPlace): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, place: LocalPlace): void;
}
