import { describe, expect, it } from 'vitest';
import type { Principal } from '../../../../src/security/api/principal.ts';
import { allows, isAdmin, parseScope, printScope, readsEverything, type Right } from '../../../../src/security/api/scopes.ts';

const holder = (...scopes: string[]): Principal => ({ name: 'x', scopes: scopes.map((scope) => parseScope(scope)!) });

describe('parseScope', () => {
  it.each(['admin', 'deploy:alice/*', 'deploy:alice', 'read:*', 'read:*/web', 'read:a.b/c_d-e'])('reads %s and prints it back', (text) => {
    expect(printScope(parseScope(text)!)).toBe(text);
  });
  it.each(['', 'Admin', 'admin:x', 'deploy', 'deploy:', 'write:alice', 'deploy:a/b/c', 'read:a b', 'deploy:alice/*,bob/*'])('refuses "%s"', (text) => {
    expect(parseScope(text)).toBeUndefined();
  });
});

describe('allows', () => {
  const cases: [string, Right, string, boolean][] = [
    ['admin', 'admin', 'alice/web', true],
    ['admin', 'read', 'alice/web', true],
    ['deploy:alice', 'deploy', 'alice/web', true],
    ['deploy:alice', 'read', 'alice/web', true],
    ['deploy:alice', 'admin', 'alice/web', false],
    ['deploy:alice', 'deploy', 'bob/web', false],
    ['deploy:alice', 'deploy', 'alice2/web', false],
    ['deploy:*/web', 'deploy', 'bob/web', true],
    ['read:alice', 'read', 'alice/web', true],
    ['read:alice', 'deploy', 'alice/web', false],
    ['read:*', 'read', 'any/thing', true],
  ];
  it.each(cases)('%s: %s over %s is %s', (scope, right, repository, expected) => {
    expect(allows(holder(scope), right, repository)).toBe(expected);
  });

  it('takes any of several scopes, and none from nobody', () => {
    expect(allows(holder('read:bob', 'deploy:alice'), 'deploy', 'alice/web')).toBe(true);
    expect(allows(holder(), 'read', 'alice/web')).toBe(false);
    expect(isAdmin(holder('deploy:*'))).toBe(false);
    expect(isAdmin(holder('read:a', 'admin'))).toBe(true);
  });
});

describe('reading everything', () => {
  it.each(['admin', 'read:*', 'read:*/*', 'deploy:*/*', 'read:**/*'])('is what %s may', (scope) => {
    expect(readsEverything(holder('read:alice', scope))).toBe(true);
  });

  it.each(['read:alice', 'read:alice/*', 'read:*/web', 'deploy:a*/*', 'read:*/a*'])('is more than %s may', (scope) => {
    expect(readsEverything(holder(scope))).toBe(false);
  });

  it('is nothing for who holds no scope', () => {
    expect(readsEverything(holder())).toBe(false);
  });
});
