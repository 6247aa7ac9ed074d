import { beforeEach, describe, expect, it } from 'vitest';
import { basicCredentials, PasswordCheck } from '../../../../src/security/proxy/password-check.ts';

/** As a hash of a password stands the password with a mark; each check is held until it is let go. */
class Checks {
  asked: string[] = [];
  #held: (() => void)[] = [];
  isHeld = false;

  matches = async (password: string, hash: string | undefined): Promise<boolean> => {
    this.asked.push(password);
    if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve));
    return hash === `#${password}`;
  };

  letGo(): void {
    this.isHeld = false;
    for (const go of this.#held.splice(0)) go();
  }
}

const basic = (name: string, password: string): string => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const USERS = { alice: '#wonderland', bob: '#builder' };
const CLIENT = '203.0.113.9';

let checks: Checks;
let nowMs: number;
let check: PasswordCheck;
beforeEach(() => {
  checks = new Checks();
  nowMs = 0;
  check = new PasswordCheck({ hasher: checks, nowMs: () => nowMs });
});
const isRight = (authorization: string | undefined, users: Readonly<Record<string, string>> = USERS, client = CLIENT): Promise<boolean> => check.isRight(authorization, users, client);

describe('the credentials of Basic', () => {
  it.each([
    ['Basic YWxpY2U6d29uZGVybGFuZA==', 'alice', 'wonderland'],
    ['bAsIc   YWxpY2U6d29uZGVybGFuZA ', 'alice', 'wonderland'],
    [basic('Zoë', 'a:b:c'), 'Zoë', 'a:b:c'],
    [basic('', ''), '', ''],
  ])('are read from %s', (authorization, name, password) => {
    expect(basicCredentials(authorization)).toEqual({ name, password });
  });

  it.each([undefined, '', 'Basic', 'Basic ', 'Basic !!!', 'Bearer YWxpY2U6d29uZGVybGFuZA==', `Basic ${Buffer.from('alice').toString('base64')}`, 'Basic YWxpY2U6d29uZGVybGFuZA==, Basic eDp5'])('are none in %j', (authorization) => {
    expect(basicCredentials(authorization)).toBeUndefined();
  });
});

describe('a password', () => {
  it('is checked once, however often it comes and from wherever', async () => {
    for (let at = 0; at < 50; at += 1) expect(await isRight(basic('alice', 'wonderland'), USERS, `203.0.113.${at}`)).toBe(true);
    expect(checks.asked).toEqual(['wonderland']);
  });

  it('is checked once for many who come at the same moment, and none of them counts as guessing', async () => {
    checks.isHeld = true;
    const all = Array.from({ length: 50 }, () => isRight(basic('alice', 'wonderland')));
    await Promise.resolve();
    checks.letGo();
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
    expect(checks.asked).toHaveLength(1);
  });

  it('is another one once it was changed, its user taken away, or for somebody else', async () => {
    expect(await isRight(basic('alice', 'wonderland'))).toBe(true);
    expect(await isRight(basic('alice', 'wonderland'), { alice: '#other' })).toBe(false);
    expect(await isRight(basic('alice', 'wonderland'), { bob: '#builder' })).toBe(false);
    expect(await isRight(basic('bob', 'wonderland'))).toBe(false);
    expect(await isRight(basic('__proto__', 'wonderland'))).toBe(false);
    expect(await isRight(basic('alice', 'wonderland'))).toBe(true);
  });

  it('that is wrong costs as much for a user who is none', async () => {
    expect([await isRight(basic('alice', 'x')), await isRight(basic('nobody', 'y'))]).toEqual([false, false]);
    expect(checks.asked).toEqual(['x', 'y']);
  });
});

describe('guessing', () => {
  it('is slowed for each client alone, whatever it sends at once', async () => {
    const ends = await Promise.allSettled(Array.from({ length: 30 }, (_, at) => isRight(basic('alice', `guess${at}`))));
    expect(ends.filter((end) => end.status === 'fulfilled' && !end.value)).toHaveLength(10);
    expect(ends.filter((end) => end.status === 'rejected')).toHaveLength(20);
    expect(checks.asked).toHaveLength(10);
    await expect(isRight(basic('alice', 'wonderland'))).rejects.toMatchObject({ code: 'rate_limited', retryAfterS: 6 });
    expect(await isRight(basic('alice', 'wonderland'), USERS, '203.0.113.10')).toBe(true);
    // What is known is no guess.
    expect(await isRight(basic('alice', 'wonderland'))).toBe(true);
    nowMs = 6_000;
    expect(await isRight(basic('alice', 'x'))).toBe(false);
    await expect(isRight(basic('alice', 'x'))).rejects.toMatchObject({ code: 'rate_limited' });
  });

  it('counts nothing for what is right, nor for what could not be checked', async () => {
    for (let at = 0; at < 30; at += 1) expect(await isRight(basic('alice', `p${at}`), { alice: `#p${at}` })).toBe(true);
    const failing = new PasswordCheck({ hasher: { matches: () => Promise.reject(new Error('queue_full')) }, nowMs: () => nowMs });
    for (let at = 0; at < 30; at += 1) await expect(failing.isRight(basic('alice', 'x'), USERS, CLIENT)).rejects.toThrow('queue_full');
  });

  it('is none without credentials', async () => {
    for (let at = 0; at < 30; at += 1) expect(await isRight(undefined)).toBe(false);
    expect(checks.asked).toEqual([]);
  });
});
