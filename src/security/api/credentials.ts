import { PipesError } from '../../core/errors.ts';
import { steadyMs } from '../../core/steady-clock.ts';
import { clientKey } from '../client-address.ts';
import { bearerOf, carriesOwnToken, hashToken, looksMade, makeTokenText, sameHash } from './own-tokens.ts';
import type { Principal, Scope } from './principal.ts';
import { parseScope, printScope } from './scopes.ts';
import { TokenBuckets } from '../token-buckets.ts';
import type { StoredToken, TokenStore } from './token-store.ts';

export interface CredentialsOptions {
  readonly store: TokenStore;
  /** The setting `API_TOKEN`: one more admin token, of at least `API_TOKEN_LENGTH` characters. */
  readonly apiToken: string | undefined;
  /** `API_AUTH=none`: everybody is an administrator. */
  readonly isOpen: boolean;
  /** Time of day, in milliseconds since 1970. */
  readonly nowMs: () => number;
  /** For tests; what failed attempts are slowed by. */
  readonly steadyMs?: () => number;
}

/** Least length of `API_TOKEN`, which people choose themselves. */
export const API_TOKEN_LENGTH = 16;

/** Who calls, by their token; and the tokens themselves. */
export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #apiTokenHash: string | undefined;
  readonly #failures: TokenBuckets;
  readonly #namesInMaking = new Set<string>();

  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#apiTokenHash = options.apiToken === undefined ? undefined : hashToken(options.apiToken);
    this.#failures = new TokenBuckets(FAILURES, MAX_CLIENTS, options.steadyMs ?? steadyMs);
  }

  /** True under `API_AUTH=none`. */
  get isOpen(): boolean {
    return this.#options.isOpen;
  }

  /**
   * Sees to it that somebody can administer this pipes: where neither `API_TOKEN` nor a valid admin token is there, one is
   * made. Its text is returned, this once, for printing.
   */
  async ensureAdminToken(): Promise<string | undefined> {
    if (this.#options.isOpen || this.#apiTokenHash !== undefined) return undefined;
    const hasAdmin = this.tokens().some((token) => token.scopes.includes('admin') && !this.#isExpired(token));
    if (hasAdmin) return undefined;
    const taken = new Set(this.tokens().map((token) => token.name));
    let name = 'admin';
    for (let number = 2; taken.has(name); number++) name = `admin-${number}`;
    return await this.makeToken(name, [{ kind: 'admin' }], undefined);
  }

  /**
   * The principal that an `Authorization` header speaks for; undefined when it names none.
   * @param clientAddress whom wrong tokens are counted against
   * @throws PipesError `rate_limited` for a client that has tried too many wrong ones
   */
  authenticate(authorization: string | undefined, clientAddress: string): Principal | undefined {
    if (this.#options.isOpen) return EVERYBODY;
    const token = bearerOf(authorization);
    if (token === undefined) return undefined;
    const client = clientKey(clientAddress);
    const waitMs = this.#failures.waitMs(client);
    // Only API_TOKEN can be guessed. A token that pipes made is looked at always, so that nobody is locked out by a neighbour.
    if (waitMs > 0 && !looksMade(token)) throw tooManyFailures(waitMs);
    const principal = this.#find(token);
    if (principal) return principal;
    this.#failures.take(client);
    if (waitMs > 0) throw tooManyFailures(waitMs);
    return undefined;
  }

  /** Whom an `Authorization` header speaks for now, of a client that was let in before: a wrong one counts as no guess. */
  principalOf(authorization: string | undefined): Principal | undefined {
    if (this.#options.isOpen) return EVERYBODY;
    const token = bearerOf(authorization);
    return token === undefined ? undefined : this.#find(token);
  }

  /** Whether this `Authorization` value carries one of pipes' own tokens, valid or not: such a header never travels on. */
  isOwnToken(authorization: string | undefined): boolean {
    return authorization !== undefined && carriesOwnToken(authorization, this.#options.apiToken === undefined ? undefined : this.#isApiToken);
  }

  tokens(): readonly StoredToken[] {
    return this.#options.store.tokens();
  }

  /**
   * Makes a token and keeps its hash; the text is returned, this once.
   * @throws PipesError `invalid_request` when the name is taken, and what the store throws
   */
  async makeToken(name: string, scopes: readonly Scope[], expiresAt: Date | undefined): Promise<string> {
    if (this.#namesInMaking.has(name) || this.tokens().some((token) => token.name === name)) {
      const fault = { path: 'name', message: 'is the name of another token; remove that first' };
      throw new PipesError('invalid_request', `There is a token with the name "${name}" already.`, { members: { faults: [fault] } });
    }
    this.#namesInMaking.add(name);
    try {
      const text = makeTokenText();
      await this.#options.store.putToken({
        name,
        sha256: hashToken(text),
        scopes: scopes.map(printScope),
        createdAt: new Date(this.#options.nowMs()).toISOString(),
        ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
      });
      return text;
    } finally {
      this.#namesInMaking.delete(name);
    }
  }

  /** False when there was none of that name. From the moment it resolves the token opens nothing. */
  async removeToken(name: string): Promise<boolean> {
    return await this.#options.store.removeToken(name);
  }

  #find(token: string): Principal | undefined {
    const hash = hashToken(token);
    let found: StoredToken | undefined;
    // Every entry is compared, so that the time tells nothing about where or whether one matched.
    for (const stored of this.tokens()) if (sameHash(stored.sha256, hash)) found = stored;
    if (this.#apiTokenHash !== undefined && sameHash(this.#apiTokenHash, hash)) return { name: 'API_TOKEN', scopes: [{ kind: 'admin' }] };
    if (!found || this.#isExpired(found)) return undefined;
    return { name: found.name, scopes: found.scopes.map(parseScope).filter((scope) => scope !== undefined) };
  }

  /** Most texts are of another length, and need no hash. */
  readonly #isApiToken = (text: string): boolean => text.length === this.#options.apiToken!.length && sameHash(hashToken(text), this.#apiTokenHash!);

  #isExpired(token: StoredToken): boolean {
    // Written so that an unreadable date counts as past.
    return token.expiresAt !== undefined && !(Date.parse(token.expiresAt) > this.#options.nowMs());
  }
}

const EVERYBODY: Principal = { name: 'everybody', scopes: [{ kind: 'admin' }] };

/** Wrong tokens that one client may try: ten at once, then one every six seconds. */
const FAILURES = { count: 10, perMs: 60_000 };
const MAX_CLIENTS = 10_000;

function tooManyFailures(waitMs: number): PipesError {
  const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
  return new PipesError('rate_limited', `Too many wrong tokens came from your address; try again in ${retryAfterS} s.`, { retryAfterS });
}
