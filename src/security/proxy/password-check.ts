import { createHmac, randomBytes } from 'node:crypto';
import { PipesError } from '../../core/errors.ts';
import { SingleFlight } from '../../core/single-flight.ts';
import { clientKey } from '../client-address.ts';
import { TokenBuckets } from '../token-buckets.ts';
import type { PasswordHasher } from './password-hasher.ts';

export interface PasswordCheckOptions {
  readonly hasher: Pick<PasswordHasher, 'matches'>;
  /** A clock that never goes back, in milliseconds. */
  readonly nowMs: () => number;
}

/**
 * Names and passwords of HTTP Basic (RFC 7617) against hashes. What was right once is remembered by a keyed hash of name,
 * password and the hash that it matched, so a second request costs no scrypt, and one after a change of the password does.
 */
export class PasswordCheck {
  readonly #hasher: PasswordCheckOptions['hasher'];
  readonly #guesses: TokenBuckets;
  readonly #flights = new SingleFlight<boolean>();
  /** The youngest at the end. */
  readonly #known = new Set<string>();
  readonly #secret = randomBytes(32);

  constructor({ hasher, nowMs }: PasswordCheckOptions) {
    this.#hasher = hasher;
    this.#guesses = new TokenBuckets(GUESSES, MAX_CLIENTS, nowMs);
  }

  /**
   * Whether an `Authorization` value holds the name and password of one of these users.
   * @param users hashes by name
   * @param clientAddress whom wrong ones are counted against
   * @throws PipesError `rate_limited` for a client that has tried too many wrong ones, `queue_full`
   */
  async isRight(authorization: string | undefined, users: Readonly<Record<string, string>>, clientAddress: string): Promise<boolean> {
    const credentials = basicCredentials(authorization);
    if (!credentials) return false;
    const { name, password } = credentials;
    const hash = Object.hasOwn(users, name) ? users[name] : undefined;
    const key = createHmac('sha256', this.#secret).update(JSON.stringify([hash ?? null, name, password])).digest('base64');
    if (this.#known.has(key)) return true;
    // Who asks for what is being checked already guesses nothing more.
    if (this.#flights.has(key)) return this.#flights.run(key, () => this.#check(key, password, hash));
    const client = clientKey(clientAddress);
    const waitMs = this.#guesses.waitMs(client);
    if (waitMs > 0) throw tooManyGuesses(waitMs);
    // Taken before the check, so that many at once are no way round it.
    this.#guesses.take(client);
    let isWrong = false;
    try {
      isWrong = !(await this.#flights.run(key, () => this.#check(key, password, hash)));
      return !isWrong;
    } finally {
      if (!isWrong) this.#guesses.giveBack(client);
    }
  }

  async #check(key: string, password: string, hash: string | undefined): Promise<boolean> {
    if (!(await this.#hasher.matches(password, hash))) return false;
    this.#known.add(key);
    if (this.#known.size > MOST_KNOWN) this.#known.delete(this.#known.values().next().value!);
    return true;
  }
}

/** Undefined for every other scheme, and for what is none. */
export function basicCredentials(authorization: string | undefined): { readonly name: string; readonly password: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Wrong passwords that one client may try: ten at once, then one every six seconds. */
const GUESSES = { count: 10, perMs: 60_000 };
const MAX_CLIENTS = 10_000;
const MOST_KNOWN = 10_000;

function tooManyGuesses(waitMs: number): PipesError {
  const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
  return new PipesError('rate_limited', `Too many wrong passwords came from your address; try again in ${retryAfterS} s.`, { retryAfterS });
}
