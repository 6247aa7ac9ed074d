import { PipesError } from '../../core/errors.ts';
import { KEPT_PASSWORD, PASSWORD_HASH, type Access } from './access.ts';
import type { PasswordHasher } from './password-hasher.ts';

/**
 * What is written as it is kept: passwords as their hashes, and those that the writer sent back masked as they were.
 * @param present what stands there now
 * @throws PipesError `invalid_request` where there is nothing to keep, `queue_full`
 */
export async function withKeptPasswords(next: Access, present: () => Access | undefined, hasher: Pick<PasswordHasher, 'hash'>): Promise<Access> {
  if (typeof next === 'string' || !('basic' in next)) return next;
  const hashes = new Map<string, string>();
  assertKept(next.basic, usersOf(present()));
  for (const [name, text] of Object.entries(next.basic)) {
    if (text !== KEPT_PASSWORD) hashes.set(name, PASSWORD_HASH.test(text) ? text : await hasher.hash(text));
  }
  // Hashing takes its time, and others write too.
  const users = usersOf(present());
  assertKept(next.basic, users);
  return { basic: Object.fromEntries(Object.keys(next.basic).map((name) => [name, hashes.get(name) ?? users[name]!])) };
}

function usersOf(access: Access | undefined): Readonly<Record<string, string>> {
  return typeof access === 'object' && 'basic' in access ? access.basic : {};
}

function assertKept(next: Readonly<Record<string, string>>, present: Readonly<Record<string, string>>): void {
  const faults = Object.entries(next)
    .filter(([name, text]) => text === KEPT_PASSWORD && !Object.hasOwn(present, name))
    .map(([name]) => ({ path: `access.basic.${name}`, message: `is ${KEPT_PASSWORD}, which keeps the password that is there, but there is none` }));
  if (faults.length === 0) return;
  throw new PipesError('invalid_request', `The body is not valid: ${faults.map(({ path, message }) => `${path} ${message}`).join('; ')}.`, { members: { faults } });
}
