import type { IncomingMessage } from 'node:http';
import { PipesError } from '../core/errors.ts';
import type { Credentials } from '../security/api/credentials.ts';
import { bearerOf } from '../security/api/own-tokens.ts';
import type { Principal } from '../security/api/principal.ts';
import { allows, isAdmin } from '../security/api/scopes.ts';
import type { ApiContext } from './api-context.ts';

/** The address of whoever sent a request; behind a trusted proxy it is not the socket's. */
export type ClientOf = (request: IncomingMessage) => string;

/** Lets in who carries a token that reaches far enough. */
export class Authentication {
  readonly #credentials: Credentials;
  readonly #clientOf: ClientOf;

  constructor(credentials: Credentials, clientOf: ClientOf) {
    this.#credentials = credentials;
    this.#clientOf = clientOf;
  }

  /**
   * A page of another site has no business here: without a token it does not even learn that there is an API. This matters
   * under `API_AUTH=none`, where any page a user visits could otherwise stop their containers. A Bearer token is the one thing
   * that browsers never send by themselves: a password that they keep for an app (Basic) shows nothing.
   */
  isStrangerPage(ctx: ApiContext): boolean {
    if (this.bearer(ctx) !== undefined) return false;
    const site = ctx.get('sec-fetch-site');
    return site === 'cross-site' || site === 'same-site' || isForeign(ctx.get('origin'), ctx.get('host'));
  }

  /** @throws PipesError `unauthorized`, `rate_limited` */
  caller(ctx: ApiContext): Principal {
    const authorization = ctx.req.headers.authorization;
    const principal = this.isStrangerPage(ctx) ? undefined : this.#credentials.authenticate(authorization, this.#clientOf(ctx.req));
    if (principal) return principal;
    const reason = authorization === undefined ? 'Send a token of pipes' : 'The token is unknown here or has expired; send a valid one';
    throw new PipesError('unauthorized', `${reason}, as "Authorization: Bearer <token>".`);
  }

  /** The token that was sent as Bearer, valid or not. */
  bearer(ctx: ApiContext): string | undefined {
    return bearerOf(ctx.req.headers.authorization);
  }

  /** Who this token speaks for, where it came in another place than its header. @throws PipesError `unauthorized`, `rate_limited` */
  callerByToken(ctx: ApiContext, token: string): Principal {
    const principal = this.#credentials.authenticate(`Bearer ${token}`, this.#clientOf(ctx.req));
    if (!principal) throw new PipesError('unauthorized', 'The secret is unknown here or has expired; send a valid one.');
    return principal;
  }

  /**
   * The caller, who has this right over `user/repo`.
   * @throws PipesError `unauthorized`, `forbidden`, `rate_limited`
   */
  callerWith(ctx: ApiContext, right: 'read' | 'deploy', repository: string): Principal {
    const caller = this.caller(ctx);
    if (!allows(caller, right, repository)) {
      throw new PipesError('forbidden', `The token "${caller.name}" has no ${right} scope over ${repository}.`);
    }
    ctx.state.isInsider = true;
    return caller;
  }

  /** Whether the request's token, which was good for it when it came, still is: for answers that go on for long. */
  isStill(ctx: ApiContext, right: 'read' | 'deploy', repository: string): boolean {
    const caller = this.#credentials.principalOf(ctx.req.headers.authorization);
    return caller !== undefined && allows(caller, right, repository);
  }

  /** @throws PipesError `unauthorized`, `forbidden`, `rate_limited` */
  admin(ctx: ApiContext): Principal {
    const caller = this.caller(ctx);
    if (!isAdmin(caller)) throw new PipesError('forbidden', `This needs an admin token; "${caller.name}" is none.`);
    return caller;
  }
}

/** Over plain HTTP browsers tell no `Sec-Fetch-Site`, but the origin of whatever is neither GET nor HEAD (Fetch standard, "append a request Origin header"). */
function isForeign(origin: string, host: string): boolean {
  if (origin === '') return false;
  if (!URL.canParse(origin)) return true;
  const { protocol, host: named } = new URL(origin);
  const own = `${protocol}//${host}`;
  return !URL.canParse(own) || new URL(own).host !== named;
}
