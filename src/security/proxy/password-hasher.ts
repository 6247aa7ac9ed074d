import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { BoundedQueue } from '../../core/bounded-queue.ts';
import { PASSWORD_HASH } from './access.ts';

/**
 * Makes and checks hashes of passwords with scrypt (RFC 7914), written as PHC strings. One at a time, on a thread of its own:
 * however many passwords are tried, one core at most is busy with them, and no request waits for it but those that try.
 */
export class PasswordHasher {
  readonly #queue = new BoundedQueue({ name: 'checks of passwords', concurrency: 1, waitingLimit: MOST_WAITING });

  /** @throws PipesError `queue_full` */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(16);
    const key = await this.#derive(password, salt, LOG_COST, PARALLEL);
    return `$scrypt$ln=${LOG_COST},r=8,p=${PARALLEL}$${unpadded(salt)}$${unpadded(key)}`;
  }

  /**
   * Whether the password is the one of that hash. False for what is no hash.
   * @param hash undefined where there is none; that takes as long, so that time tells nobody which users there are
   * @throws PipesError `queue_full`
   */
  async matches(password: string, hash: string | undefined): Promise<boolean> {
    const [, logCost, parallel, salt, key] = PASSWORD_HASH.exec(hash ?? NOBODYS) ?? PASSWORD_HASH.exec(NOBODYS)!;
    const derived = await this.#derive(password, Buffer.from(salt!, 'base64'), Number(logCost), Number(parallel));
    return timingSafeEqual(derived, Buffer.from(key!, 'base64')) && hash !== undefined;
  }

  /** As RFC 7617 has it for UTF-8, what looks the same is the same (normalisation form C). */
  #derive(password: string, salt: Buffer, logCost: number, parallel: number): Promise<Buffer> {
    const options = { N: 2 ** logCost, r: 8, p: parallel, maxmem: 2 ** 28 };
    const job = (): Promise<Buffer> => new Promise((resolve, reject) => scrypt(password.normalize('NFC'), salt, 32, options, (error, key) => (error ? reject(error) : resolve(key))));
    return this.#queue.run(job, { signal: new AbortController().signal });
  }
}

/** 16 MB and five rounds: OWASP's "Password Storage Cheat Sheet" for scrypt with least memory. */
const LOG_COST = 14;
const PARALLEL = 5;

/** Some ten seconds' work. */
const MOST_WAITING = 64;

/** A hash that no password is known for. */
const NOBODYS = `$scrypt$ln=${LOG_COST},r=8,p=${PARALLEL}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
