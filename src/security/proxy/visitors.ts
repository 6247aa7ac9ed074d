import type { IncomingMessage } from 'node:http';
import { PipesError } from '../../core/errors.ts';
import type { Credentials } from '../api/credentials.ts';
import { allows } from '../api/scopes.ts';
import type { GuardedAccess } from './access.ts';
import type { ForwardAuth, GivenAnswer } from './forward-auth.ts';
import type { PasswordCheck } from './password-check.ts';

/** Somebody who wants in, whatever they ask for there. */
export interface Visit {
  /** `user/repo:tag` as the host names it, and its `user/repo`. */
  readonly key: string;
  readonly repository: string;
  readonly headers: IncomingMessage['headers'];
  readonly clientAddress: string;
  /** What the service of `forward` is sent, flat. */
  readonly question: () => readonly string[];
  /** Fires when they left. */
  readonly gone: AbortSignal;
}

/** How a request of somebody who was let in goes on. */
export interface Entry {
  /** Fields that do not go on when the client sent them; in lower case, `-` standing for `_` too. */
  readonly removed: ReadonlySet<string>;
  /** Fields that go on beside the client's, flat. */
  readonly added: readonly string[];
}

/** Let in, or answered by the service that decides. */
export type Admission = { readonly entry: Entry } | { readonly answer: GivenAnswer };

export interface VisitorsOptions {
  readonly credentials: Credentials;
  readonly passwords: PasswordCheck;
  readonly forwardAuth: ForwardAuth;
}

/** Who may visit a target that is not public. Asked before anything is started for them. */
export class Visitors {
  readonly #options: VisitorsOptions;

  constructor(options: VisitorsOptions) {
    this.#options = options;
  }

  /** @throws PipesError `unauthorized`, `forbidden`, `rate_limited`, `queue_full`, `access_unavailable`; or the visit's `gone` */
  async admit(access: GuardedAccess, visit: Visit): Promise<Admission> {
    if (access === 'token') return this.#byToken(visit);
    if ('basic' in access) return this.#byPassword(access.basic, visit);
    return this.#byService(access.forward, visit);
  }

  /** The field of its own comes first: an app may have a use for `Authorization`. Neither travels on (`isOwnToken`). */
  #byToken({ headers, clientAddress, key, repository }: Visit): Admission {
    const { credentials } = this.#options;
    const own = headers['x-pipes-token'];
    const shown = typeof own === 'string' ? `Bearer ${own}` : headers.authorization;
    const principal = credentials.authenticate(shown, clientAddress);
    if (!principal) {
      throw new PipesError('unauthorized', 'This app is not public. Send a token of pipes that may read it, as "Authorization: Bearer <token>" or "X-Pipes-Token: <token>".', { challenge: `Bearer ${realm(key)}` });
    }
    if (!allows(principal, 'read', repository)) throw new PipesError('forbidden', `The token "${principal.name}" has no read scope over ${repository}.`);
    return ENTERED;
  }

  async #byPassword(users: Readonly<Record<string, string>>, { headers, clientAddress, key }: Visit): Promise<Admission> {
    if (await this.#options.passwords.isRight(headers.authorization, users, clientAddress)) return ENTERED_WITH_PASSWORD;
    throw new PipesError('unauthorized', 'This app is not public. Send a name and a password that it knows.', { challenge: `Basic ${realm(key)}, charset="UTF-8"` });
  }

  async #byService({ url, headers = [] }: { readonly url: string; readonly headers?: readonly string[] | undefined }, visit: Visit): Promise<Admission> {
    const answer = await this.#options.forwardAuth.ask(url, visit.question(), visit.headers, visit.gone);
    if (answer.status < 200 || answer.status > 299) return { answer };
    const removed = new Set(headers.map((name) => name.toLowerCase()));
    const added: string[] = [];
    for (let at = 0; at + 1 < answer.headers.length; at += 2) {
      const [name, value] = [answer.headers[at]!, answer.headers[at + 1]!];
      const lower = name.toLowerCase();
      if (removed.has(lower) && !(lower === 'authorization' && this.#options.credentials.isOwnToken(value))) added.push(name, value);
    }
    return { entry: { removed, added } };
  }
}

const ENTERED: Admission = { entry: { removed: new Set(), added: [] } };

/** The password was for pipes. */
const ENTERED_WITH_PASSWORD: Admission = { entry: { removed: new Set(['authorization']), added: [] } };

/** A key holds nothing that would have to be escaped. */
function realm(key: string): string {
  return `realm="${key}"`;
}
