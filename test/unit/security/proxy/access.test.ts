import { describe, expect, it } from 'vitest';
import { faultsOf } from '../../../../src/api/contract/faults.ts';
import { Access, maskedAccess } from '../../../../src/security/proxy/access.ts';
import { TargetConfig } from '../../../../src/targets/target-config.ts';

const HASH = `$scrypt$ln=14,r=8,p=5$${'a'.repeat(22)}$${'b'.repeat(43)}`;
const url = 'https://auth.example.com/verify?app=1';
const faults = (access: unknown): string[] => {
  const checked = TargetConfig.safeParse({ access });
  return checked.success ? [] : faultsOf(checked.error).map(({ path, message }) => `${path} ${message}`);
};

describe('access', () => {
  it.each<unknown>([
    'public',
    'token',
    { basic: { alice: 'correct horse', 'bob@example.com': HASH, 'Zoë': '***' } },
    { forward: { url } },
    { forward: { url: 'http://[fd00::1]:4180/', headers: ['X-User', 'authorization'] } },
  ])('takes %j', (access) => {
    expect(faults(access)).toEqual([]);
  });

  it.each<[unknown, RegExp]>([
    ['none', /^access must be "public", "token"/],
    [{}, /^access must be/],
    [null, /^access must be/],
    [{ basic: { alice: 'correct horse' }, forward: { url } }, /^access must be/],
    [{ basic: {} }, /^access.basic must name at least one user/],
    [{ basic: { alice: 'short' } }, /^access.basic.alice must have at least 8 characters/],
    [{ basic: { alice: 7 } }, /^access.basic.alice Invalid input: expected string/],
    [{ basic: { 'a:b': 'correct horse' } }, /name without colon/],
    [{ basic: { alice: 'correct\nhorse' } }, /^access.basic.alice must not hold control characters/],
    [{ basic: { alice: '$2y$05$abcdefghijklmnopqrstuu' } }, /^access.basic.alice is a hash that pipes does not read/],
    [{ basic: { alice: '$apr1$abcdefgh$abcdefghijklmnop' } }, /a hash that pipes does not read/],
    [{ basic: { alice: '{SHA}abcdefghijklmnop' } }, /a hash that pipes does not read/],
    [{ basic: { alice: HASH.replace('ln=14', 'ln=30') } }, /a hash that pipes does not read/],
    [{ forward: { url: 'ftp://example.com' } }, /^access.forward.url must be an http or https address/],
    [{ forward: { url: 'http://u:p@example.com/' } }, /^access.forward.url must be/],
    [{ forward: { url: '/verify' } }, /^access.forward.url must be/],
    [{ forward: { url, timeout: '1s' } }, /^access.forward.timeout is not a key/],
    [{ forward: { url, headers: ['X User'] } }, /^access.forward.headers\[0\] must be the name of a header/],
    [{ forward: { url, headers: ['X-User', 'Host'] } }, /^access.forward.headers\[1\] is a header that pipes writes itself/],
    [{ forward: { url, headers: ['X-Forwarded-For'] } }, /pipes writes itself/],
    [{ forward: { url, headers: ['proxy-authorization'] } }, /pipes writes itself/],
  ])('refuses %j', (access, fault) => {
    expect(faults(access)).toEqual([expect.stringMatching(fault)]);
  });

  it('shows no password again', () => {
    expect(maskedAccess({ basic: { alice: HASH, bob: HASH } })).toEqual({ basic: { alice: '***', bob: '***' } });
    expect(maskedAccess({ forward: { url } })).toEqual({ forward: { url } });
    expect(maskedAccess('token')).toBe('token');
  });

  it('may be masked and written again', () => {
    expect(Access.safeParse(maskedAccess({ basic: { alice: HASH } })).success).toBe(true);
  });
});
