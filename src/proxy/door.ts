import type { IncomingMessage } from 'node:http';
import type { GuardedAccess } from '../security/proxy/access.ts';
import type { Admission, Visit } from '../security/proxy/visitors.ts';
import { printReference, repositoryOf, type Reference } from '../targets/reference.ts';
import { clientOf } from './client-of.ts';
import { forwardedHeaders } from './forwarded-headers.ts';

export interface DoorOptions {
  /** `Visitors` is it. */
  readonly visitors: { admit(access: GuardedAccess, visit: Visit): Promise<Admission> };
  readonly isTrusted: (address: string) => boolean;
  readonly isOwnToken: (authorization: string) => boolean;
}

/** Where requests to targets that are not public are held up until it is said who may visit. */
export class Door {
  readonly #options: DoorOptions;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /**
   * @param gone tells when the client has left
   * @throws PipesError, see `Visitors`; `CLIENT_GONE`
   */
  async admit(access: GuardedAccess, reference: Reference, request: IncomingMessage, requestId: string, gone: (listener: () => void) => void): Promise<Admission> {
    const leaving = new AbortController();
    gone(() => leaving.abort(CLIENT_GONE));
    const admission = await this.#options.visitors.admit(access, {
      key: printReference(reference),
      repository: repositoryOf(reference),
      headers: request.headers,
      clientAddress: clientOf(request, this.#options.isTrusted) ?? '',
      question: () => this.#question(request, requestId),
      gone: leaving.signal,
    });
    // Nobody is there any more for whom something could be started.
    leaving.signal.throwIfAborted();
    return admission;
  }

  /** What the app would be sent, but for the body and what speaks of it, and with what was asked for (as Traefik's ForwardAuth names it). */
  #question(request: IncomingMessage, requestId: string): string[] {
    const isPeerTrusted = this.#options.isTrusted(request.socket.remoteAddress ?? '');
    const headers = forwardedHeaders(request, { requestId, isPeerTrusted, isOwnToken: this.#options.isOwnToken, isUpgrade: false });
    const question = ['X-Forwarded-Method', request.method!, 'X-Forwarded-Uri', request.url!];
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase().replaceAll('_', '-');
      if (!UNASKED.has(name) && !name.startsWith('if-')) question.push(headers[at]!, headers[at + 1]!);
    }
    return question;
  }
}

export const CLIENT_GONE = new Error('the client left');

/** Of the body, of the connection, of the answer's part; and what pipes writes anew. */
const UNASKED: ReadonlySet<string> = new Set([
  'host', 'content-length', 'content-type', 'content-encoding', 'transfer-encoding', 'trailer', 'expect', 'connection', 'te', 'range',
  'x-forwarded-method', 'x-forwarded-uri', 'x-pipes-access',
]);
