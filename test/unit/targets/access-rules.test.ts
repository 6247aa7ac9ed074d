import { describe, expect, it } from 'vitest';
import type { Access } from '../../../src/security/proxy/access.ts';
import { AccessRules } from '../../../src/targets/access-rules.ts';
import { makeReference, parseReference } from '../../../src/targets/reference.ts';
import { FakeConfigs } from '../../fakes/table-bench.ts';

const BASIC: Access = { basic: { alice: 'hash' } };
const rulesOf = (containers: Record<string, Access | undefined>, repositories: Record<string, Access> = {}): ((name: string) => Access) => {
  const configs = new FakeConfigs();
  for (const [key, access] of Object.entries(containers)) configs.containers.set(key, access === undefined ? { port: 80 } : { access });
  for (const [key, access] of Object.entries(repositories)) configs.repositories.set(key, { access });
  const rules = new AccessRules(configs);
  return (name) => rules.accessOf(parseReference(name));
};

describe('who may visit', () => {
  it('is everybody unless the target or its repository says otherwise, the target first', () => {
    const access = rulesOf({ 'alice/web:main': 'public', 'alice/web:dev': undefined, 'alice/web:old': BASIC }, { 'alice/web': 'token' });
    expect(['alice/web:main', 'alice/web:dev', 'alice/web:other', 'alice/web:old', 'alice/api:main', 'alice/web2:main'].map(access)).toEqual(['public', 'token', 'token', BASIC, 'public', 'public']);
  });

  it('is the same in whatever case the tag turns out to be written', () => {
    const access = rulesOf({ 'alice/web:Release': BASIC });
    expect(access('alice/web:release')).toEqual(BASIC);
    expect(new Set([access('alice/web:RELEASE'), access('alice/web:Release')]).size).toBe(1);
    expect(access('alice/web:releas')).toBe('public');
  });

  it('is not everybody where one of several that may be meant is guarded, and a token where they differ', () => {
    expect(rulesOf({ 'alice/web:Release': BASIC, 'alice/web:release': 'public' })('alice/web:release')).toEqual(BASIC);
    expect(rulesOf({ 'alice/web:Release': BASIC, 'alice/web:RELEASE': BASIC })('alice/web:release')).toEqual(BASIC);
    expect(rulesOf({ 'alice/web:Release': BASIC, 'alice/web:RELEASE': { forward: { url: 'http://x/' } } })('alice/web:release')).toBe('token');
  });

  it('is that of the repository where the tag in lower case has no configuration and may exist', () => {
    const access = rulesOf({ 'alice/web:Demo': 'public' }, { 'alice/web': BASIC });
    expect([access('alice/web:demo'), access('alice/web:Demo')]).toEqual([BASIC, 'public']);
  });

  it('changes with the configuration, at once', () => {
    const configs = new FakeConfigs();
    const rules = new AccessRules(configs);
    const web = makeReference('alice', 'web', 'main')!;
    expect(rules.accessOf(web)).toBe('public');
    configs.containers.set('alice/web:main', { access: 'token' });
    expect(rules.accessOf(web)).toBe('token');
    configs.containers.delete('alice/web:main');
    expect(rules.accessOf(web)).toBe('public');
  });
});
