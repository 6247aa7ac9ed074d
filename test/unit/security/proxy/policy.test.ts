import { describe, expect, it } from 'vitest';
import { Policy } from '../../../../src/security/proxy/policy.ts';

describe('Policy', () => {
  it('runs what ALLOW names and DENY does not', () => {
    const policy = Policy.from('alice/*, bob/web', 'alice/secret*')!;
    expect(['alice/web', 'bob/web', 'bob/other', 'alice/secret', 'alice/secrets', 'carol/x'].map((name) => policy.permits(name))).toEqual([true, true, false, false, false, false]);
  });

  it('says what can be done', () => {
    const policy = Policy.from('alice/*', 'alice/secret')!;
    expect(() => policy.mayRun('alice/web')).not.toThrow();
    expect(() => policy.mayRun('bob/web')).toThrow(expect.objectContaining({ code: 'image_forbidden', message: expect.stringContaining('ALLOW') as string }) as Error);
    expect(() => policy.mayRun('alice/secret')).toThrow(expect.objectContaining({ code: 'image_forbidden', message: expect.stringContaining('DENY') as string }) as Error);
  });

  it('runs nothing with an empty ALLOW, and is none with a faulty pattern', () => {
    expect(Policy.from('', '')!.permits('alice/web')).toBe(false);
    expect(Policy.from('*/*', '')!.permits('alice/web')).toBe(true);
    expect(Policy.from('a/b/c', '')).toBeUndefined();
    expect(Policy.from('*', 'a b')).toBeUndefined();
  });
});
