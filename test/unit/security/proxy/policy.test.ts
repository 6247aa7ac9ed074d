import { describe, expect, it } from 'vitest';
import { parseImageRef, type ImageRef } from '../../../../src/images/image-ref.ts';
import { Policy } from '../../../../src/security/proxy/policy.ts';

const image = (name: string): ImageRef => parseImageRef(name)!;
const PINNED = image(`docker.io/alice/web@sha256:${'a'.repeat(64)}`);

describe('Policy', () => {
  it('runs what ALLOW names and DENY does not', () => {
    const policy = Policy.from('alice/*, bob/web', 'alice/secret*')!;
    expect(['alice/web', 'bob/web', 'bob/other', 'alice/secret', 'alice/secrets', 'carol/x'].map((name) => policy.permits(name))).toEqual([true, true, false, false, false, false]);
  });

  it('says what can be done', () => {
    const policy = Policy.from('alice/*', 'alice/secret')!;
    expect(() => policy.mayRun('alice/web', image('alice/web'))).not.toThrow();
    expect(() => policy.mayRun('bob/web', image('bob/web'))).toThrow(expect.objectContaining({ code: 'image_forbidden', message: expect.stringContaining('ALLOW') as string }) as Error);
    expect(() => policy.mayRun('alice/secret', image('alice/secret'))).toThrow(expect.objectContaining({ code: 'image_forbidden', message: expect.stringContaining('DENY') as string }) as Error);
  });

  it('runs nothing with an empty ALLOW, and is none with a faulty pattern', () => {
    expect(Policy.from('', '')!.permits('alice/web')).toBe(false);
    expect(Policy.from('*/*', '')!.permits('alice/web')).toBe(true);
    expect(Policy.from('a/b/c', '')).toBeUndefined();
    expect(Policy.from('*', 'a b')).toBeUndefined();
  });

  it('runs under REQUIRE_DIGEST only what is pinned, and says how to pin', () => {
    const policy = Policy.from('alice/*', '', true)!;
    expect(() => policy.mayRun('alice/web', PINNED)).not.toThrow();
    expect(() => policy.mayRun('alice/web', { ...PINNED, registry: 'registry.example.com', repository: 'other/thing' })).not.toThrow();
    expect(() => policy.mayRun('alice/web', image('alice/web:main'))).toThrow(
      expect.objectContaining({ code: 'image_forbidden', message: expect.stringMatching(/REQUIRE_DIGEST.*docker\.io\/alice\/web:main.*"image": "…@sha256:…"/) as string }) as Error,
    );
    // A digest opens nothing that ALLOW keeps shut.
    expect(() => policy.mayRun('bob/web', PINNED)).toThrow(expect.objectContaining({ message: expect.stringContaining('ALLOW') as string }) as Error);
  });
});
