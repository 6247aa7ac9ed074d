import { beforeEach, describe, expect, it } from 'vitest';
import { WakeRate } from '../../../../src/security/proxy/wake-rate.ts';
import { TokenBuckets } from '../../../../src/security/token-buckets.ts';

let nowMs = 0;
beforeEach(() => (nowMs = 0));
const make = (clientCount = 3, newCount = 5): WakeRate =>
  new WakeRate({ perClient: { count: clientCount, perMs: 60_000 }, newTargets: { count: newCount, perMs: 3_600_000 }, nowMs: () => nowMs });
const times = (count: number, what: (index: number) => void): void => {
  for (let index = 0; index < count; index++) what(index);
};
const limited = (retryAfterS: number): Error => expect.objectContaining({ code: 'rate_limited', retryAfterS }) as Error;

describe('WakeRate', () => {
  it('counts each client alone, refills evenly and says when', () => {
    const rate = make();
    times(3, () => rate.admit('192.0.2.1', false));
    expect(() => rate.admit('192.0.2.1', false)).toThrow(limited(20));
    rate.admit('192.0.2.2', false);
    nowMs = 19_999;
    expect(() => rate.admit('192.0.2.1', false)).toThrow(limited(1));
    nowMs = 20_000;
    rate.admit('192.0.2.1', false);
    expect(() => rate.admit('192.0.2.1', false)).toThrow(limited(20));
  });

  it('counts new targets for all clients together, and takes nothing where it refuses', () => {
    const rate = make(3, 2);
    rate.admit('192.0.2.1', true);
    rate.admit('192.0.2.2', true);
    times(5, () => expect(() => rate.admit('192.0.2.3', true)).toThrow(limited(1800)));
    times(3, () => rate.admit('192.0.2.3', false));
    expect(() => rate.admit('192.0.2.3', false)).toThrow(limited(20));
  });

  it.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])('exempts %s', (address) => {
    const rate = make(1, 1);
    times(50, () => rate.admit(address, true));
    rate.admit('192.0.2.1', true);
    expect(() => rate.admit('192.0.2.1', false)).toThrow();
  });

  it('takes the addresses of one IPv6 network for one client, and an IPv4 address in both writings', () => {
    const rate = make(1);
    rate.admit('2001:db8::1', false);
    expect(() => rate.admit('2001:db8:0:0:ffff::2', false)).toThrow();
    expect(() => rate.admit('2001:0db8:0000:0000:1:2:3:4', false)).toThrow();
    rate.admit('2001:db8:0:1::1', false);
    rate.admit('192.0.2.1', false);
    expect(() => rate.admit('::ffff:192.0.2.1', false)).toThrow();
  });

  it('can be off, or shut', () => {
    times(1000, () => make(Infinity, Infinity).admit('192.0.2.1', true));
    expect(() => make(0).admit('192.0.2.1', false)).toThrow(limited(60));
  });
});

describe('TokenBuckets', () => {
  it('holds no more keys than it may, and forgets the one used longest ago', () => {
    const buckets = new TokenBuckets({ count: 1, perMs: 1000 }, 3, () => nowMs);
    ['a', 'b', 'c'].forEach((key) => buckets.take(key));
    buckets.take('a');
    buckets.take('d');
    expect(buckets.size).toBe(3);
    expect(['a', 'b', 'c', 'd'].map((key) => buckets.waitMs(key) > 0)).toEqual([true, false, true, true]);
  });

  it('holds never more than its count, however long it rested', () => {
    const buckets = new TokenBuckets({ count: 2, perMs: 1000 }, 3, () => nowMs);
    buckets.take('a');
    nowMs = 1_000_000;
    times(2, () => buckets.take('a'));
    expect(buckets.waitMs('a')).toBe(500);
  });

  it('gives back to all what a name that does not exist took, and not to the client', () => {
    const rate = new WakeRate({ perClient: { count: 3, perMs: 60_000 }, newTargets: { count: 1, perMs: 3_600_000 }, nowMs: () => 0 });
    rate.admit('203.0.113.1', true).foundNoImage();
    rate.admit('203.0.113.1', true).foundNoImage();
    rate.admit('203.0.113.2', true);
    expect(() => rate.admit('203.0.113.3', true)).toThrow(expect.objectContaining({ code: 'rate_limited' }) as Error);
    rate.admit('203.0.113.1', false);
    expect(() => rate.admit('203.0.113.1', false)).toThrow(expect.objectContaining({ code: 'rate_limited' }) as Error);
  });

  it('gives back to everybody what started nothing', () => {
    const rate = make(1, 1);
    times(5, () => rate.admit('203.0.113.1', true).undo());
    rate.admit('203.0.113.1', true);
    expect(() => rate.admit('203.0.113.1', false)).toThrow(limited(60));
    expect(() => rate.admit('203.0.113.2', true)).toThrow(limited(3600));
    // What nobody counted has nothing to give back.
    times(5, () => rate.admit('127.0.0.1', true).undo());
    expect(() => rate.admit('203.0.113.2', true)).toThrow(limited(3600));
  });
});
