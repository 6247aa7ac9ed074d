import { describe, expect, it } from 'vitest';
import type { Access } from '../../../../src/security/proxy/access.ts';
import { withKeptPasswords } from '../../../../src/security/proxy/kept-passwords.ts';

const HASH = `$scrypt$ln=14,r=8,p=5$${'a'.repeat(22)}$${'b'.repeat(43)}`;
const hasher = { hash: (password: string) => Promise.resolve(`hash of ${password}`) };
const kept = (next: Access, present?: Access): Promise<Access> => withKeptPasswords(next, () => present, hasher);

describe('passwords that are written', () => {
  it('are kept as their hashes; a hash, and what was masked, as it was', async () => {
    expect(await kept({ basic: { alice: 'wonderland', bob: '***', carol: HASH } }, { basic: { bob: 'bobs', dave: 'daves' } })).toEqual({
      basic: { alice: 'hash of wonderland', bob: 'bobs', carol: HASH },
    });
    expect(await kept('token', { basic: { bob: 'bobs' } })).toBe('token');
  });

  it.each<Access | undefined>([undefined, 'public', { basic: { alice: 'x' } }, { forward: { url: 'http://x/' } }])('cannot stay as they are where there are none (%j)', async (present) => {
    await expect(kept({ basic: { bob: '***', toString: '***' } }, present)).rejects.toMatchObject({
      code: 'invalid_request',
      members: { faults: [{ path: 'access.basic.bob' }, { path: 'access.basic.toString' }] },
    });
  });

  it('are those of the moment when all is hashed', async () => {
    let present: Access = { basic: { bob: 'old' } };
    const slow = { hash: () => Promise.resolve().then(() => ((present = { basic: { bob: 'new' } }), 'hashed')) };
    expect(await withKeptPasswords({ basic: { alice: 'wonderland', bob: '***' } }, () => present, slow)).toEqual({ basic: { alice: 'hashed', bob: 'new' } });
  });
});
