import { describe, expect, it } from 'vitest';
import { PASSWORD_HASH } from '../../../../src/security/proxy/access.ts';
import { PasswordHasher } from '../../../../src/security/proxy/password-hasher.ts';

describe('hashes of passwords', () => {
  it('differ each time, and know their password alone', async () => {
    const hasher = new PasswordHasher();
    const [one, two] = [await hasher.hash('correct horse'), await hasher.hash('correct horse')];
    expect(one).toMatch(PASSWORD_HASH);
    expect(one).not.toBe(two);
    expect(one).not.toContain('correct');
    expect(await Promise.all([one, two].map((hash) => hasher.matches('correct horse', hash)))).toEqual([true, true]);
    expect(await hasher.matches('correct horsf', one)).toBe(false);
    expect(await hasher.matches('', one)).toBe(false);
  });

  it('are the same for what looks the same', async () => {
    const hasher = new PasswordHasher();
    expect(await hasher.matches('cafe\u0301 noir', await hasher.hash('caf\u00e9 noir'))).toBe(true);
  });

  it('match nothing where there is none, or none that can be read', async () => {
    const hasher = new PasswordHasher();
    expect(await hasher.matches('correct horse', undefined)).toBe(false);
    expect(await hasher.matches('correct horse', 'correct horse')).toBe(false);
  });

  it('are made one at a time, and so many wait at most', async () => {
    const hasher = new PasswordHasher();
    const asked = await Promise.allSettled(Array.from({ length: 70 }, () => hasher.matches('x', CHEAP)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(65);
    expect(asked.flatMap((end) => (end.status === 'rejected' ? [(end.reason as { code: string }).code] : []))).toEqual(Array(5).fill('queue_full'));
  });
});

/** Costs little, and nobody knows its password. */
const CHEAP = `$scrypt$ln=10,r=8,p=1$${'a'.repeat(22)}$${'b'.repeat(43)}`;
