import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { GivenAnswer } from '../security/proxy/forward-auth.ts';
import { isHopByHop, nominatedBy } from './hop-by-hop.ts';
import { sendWhole, writeWhole, type WholeAnswer } from './whole-answer.ts';

/** An answer that another service gave in the app's place, with its length and without what belongs to its connection. */
export function sendGivenAnswer(request: IncomingMessage, response: ServerResponse, answer: GivenAnswer): void {
  if (!response.destroyed) sendWhole(request, response, ownAnswer(answer));
}

/** The same on a bare connection, for upgrades; the connection ends with it. */
export function sendGivenAnswerOnSocket(socket: Duplex, answer: GivenAnswer): void {
  if (socket.writable) writeWhole(socket, ownAnswer(answer), true);
  else socket.destroy();
}

function ownAnswer(answer: GivenAnswer): WholeAnswer {
  const { status, headers } = answer;
  const nominated = nominatedBy(valueOf(headers, 'connection'));
  const kept = headers.filter((_, at) => {
    const lower = headers[at - (at % 2)]!.toLowerCase();
    return !isHopByHop(lower) && lower !== 'content-length' && lower !== 'trailer' && nominated?.has(lower) !== true;
  });
  return { ...answer, headers: status === 304 ? kept : [...kept, 'Content-Length', String(answer.body.length)] };
}

function valueOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
  return at < 0 ? undefined : headers[at + 1];
}
