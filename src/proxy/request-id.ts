import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Long enough for UUIDs, ULIDs and trace ids; short and plain enough for every log. */
const SANE_ID = /^[A-Za-z0-9_.:=@/+-]{1,128}$/;

/** The id that a trusted proxy gave the request, if it is one that logs can carry; else a new one. */
export function requestIdOf(request: IncomingMessage, isPeerTrusted: boolean): string {
  const given = isPeerTrusted ? request.headers['x-request-id'] : undefined;
  return typeof given === 'string' && SANE_ID.test(given) ? given : randomUUID();
}
