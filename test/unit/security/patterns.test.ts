import { describe, expect, it } from 'vitest';
import { compilePattern } from '../../../src/security/patterns.ts';

const matches = (pattern: string, repository: string): boolean => compilePattern(pattern)!(repository);

describe('patterns over user/repo', () => {
  it.each([
    ['*/*', 'alice/web', true],
    ['alice', 'alice/web', true],
    ['*', 'alice/web', true],
    ['alice/w*b', 'alice/web', true],
    ['alice/w*b', 'alice/wb', true],
    ['alice/*b*b', 'alice/bob-b', true],
    ['alice/*b*b', 'alice/b', false],
    ['a*/web', 'alice/web', true],
    ['alice/web', 'alice/web2', false],
    ['alice/web', 'alice/we', false],
    ['al.ce/web', 'alice/web', false],
    ['*/web', 'alice/x/web', false],
    ['**/*', 'alice/web', true],
    ['alice/*', 'alice', false],
  ])('%s over %s is %s', (pattern, repository, is) => {
    expect(matches(pattern, repository)).toBe(is);
  });

  it('take little time, however many stars they have', () => {
    const startedMs = performance.now();
    expect(matches(`${'*a'.repeat(60)}*b/x`, `${'a'.repeat(128)}/x`)).toBe(false);
    // An expression with sixty stars would not end in this life.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});
