import { describe, expect, it } from 'vitest';
import type { PipesError } from '../../../src/core/errors.ts';
import type { Principal } from '../../../src/security/api/principal.ts';
import { parseScope } from '../../../src/security/api/scopes.ts';
import type { BoundDomains } from '../../../src/targets/domain-store.ts';
import type { HostRules } from '../../../src/targets/host-name.ts';
import { printReference } from '../../../src/targets/reference.ts';
import { RouteTable } from '../../../src/targets/route-table.ts';
import { MemoryDomains, NO_RULES, routeTable } from '../../fakes/memory-domains.ts';

const who = (...scopes: string[]): Principal => ({ name: 'ci', scopes: scopes.map((scope) => parseScope(scope)!) });
const [admin, alice, both] = [who('admin'), who('deploy:alice/*'), who('deploy:alice/*', 'deploy:bob/web')];
const served: Partial<HostRules> = { domains: ['example.com', 'apps.example.com'], platformHosts: ['panel.example.net'] };

function meaning(table: RouteTable, host: string): string {
  try {
    const name = table.lookUp(host);
    return name.kind === 'reference' ? printReference(name.reference) : name.kind;
  } catch (thrown) {
    return (thrown as PipesError).code;
  }
}

async function outcome(work: Promise<void>): Promise<string> {
  return await work.then(() => 'bound', (thrown: unknown) => (thrown as PipesError).code);
}

describe('who may bind which host name to alice/web', () => {
  it.each<[string, Principal, Partial<HostRules>, string]>([
    // foreign names, and the rest below a base: whoever comes first
    ['www.example.org', alice, {}, 'bound'],
    ['www.example.org', alice, served, 'bound'],
    ['example.org', alice, served, 'bound'],
    ['shop.localhost', alice, {}, 'bound'],
    ['web-main.example.com', alice, served, 'bound'],
    ['shop.apps.example.com', alice, served, 'bound'],
    ['pipes.example.org', alice, served, 'bound'],
    ['not--a--pattern--here.example.com', alice, served, 'bound'],
    // bases and pipes' own hosts: nobody
    ['localhost', alice, {}, 'domain_forbidden'],
    ['shop', alice, {}, 'domain_forbidden'],
    ['example.org', alice, {}, 'domain_forbidden'],
    ['me.duckdns.org', alice, {}, 'domain_forbidden'],
    ['example.com', alice, served, 'domain_forbidden'],
    ['example.com', admin, served, 'domain_forbidden'],
    ['apps.example.com', admin, served, 'domain_forbidden'],
    ['pipes.localhost', alice, {}, 'domain_forbidden'],
    ['pipes.example.com', alice, served, 'domain_forbidden'],
    ['peroku.apps.example.com', admin, served, 'domain_forbidden'],
    ['torokko.example.com', admin, served, 'domain_forbidden'],
    ['panel.example.net', admin, served, 'domain_forbidden'],
    ['apps.example.org', admin, { domainLevels: 3 }, 'domain_forbidden'],
    // hosts that mean a user/repo: who may deploy that
    ['web.alice.localhost', alice, {}, 'bound'],
    ['v1.web.alice.example.com', alice, served, 'bound'],
    ['main.api.alice.example.com', alice, served, 'bound'],
    ['api--alice.example.com', alice, served, 'bound'],
    ['web.bob.localhost', alice, {}, 'domain_forbidden'],
    ['web.bob.example.com', alice, served, 'domain_forbidden'],
    ['main.web.bob.example.com', alice, served, 'domain_forbidden'],
    ['a.b.web.bob.apps.example.com', alice, served, 'domain_forbidden'],
    ['web--bob.example.com', alice, served, 'domain_forbidden'],
    ['main--web--bob.localhost', alice, {}, 'domain_forbidden'],
    ['myz-uapp--bob.localhost', alice, {}, 'domain_forbidden'],
    ['www.shop.example.org', alice, {}, 'domain_forbidden'],
    ['nginx.library.localhost', alice, {}, 'domain_forbidden'],
    ['web.bob.localhost', both, {}, 'bound'],
    ['api.bob.localhost', both, {}, 'domain_forbidden'],
    ['web.bob.localhost', who('deploy:alice/*', 'read:*/*'), {}, 'domain_forbidden'],
    ['web--bob.localhost', admin, {}, 'bound'],
  ])('%s by %j under %j: %s', async (domain, caller, rules, expected) => {
    const table = routeTable({}, rules);
    expect(await outcome(table.bind(caller, 'alice/web', [domain]))).toBe(expected);
    expect(table.domainsOf('alice/web')).toEqual(expected === 'bound' ? [domain] : []);
  });

  it("another's name is taken, and only who may look there is told whose it is", async () => {
    const table = routeTable({ 'www.example.org': 'bob/web' });
    const refused = async (caller: Principal): Promise<PipesError> => (await table.bind(caller, 'alice/web', ['a.localhost', 'www.example.org']).catch((thrown: unknown) => thrown)) as PipesError;
    const byAlice = await refused(alice);
    expect([byAlice.code, byAlice.members['faults']]).toEqual(['domain_taken', [{ path: 'domains[1]', message: 'is bound already' }]]);
    expect(JSON.stringify([byAlice.message, byAlice.members])).not.toContain('bob');
    expect((await refused(both)).message).toContain('bob/web');
    expect((await refused(admin)).code).toBe('domain_taken');
    expect(table.domainsOf('alice/web')).toEqual([]);
    // An administrator frees it.
    await table.bind(admin, 'bob/web', []);
    await table.bind(alice, 'alice/web', ['www.example.org']);
    expect(meaning(table, 'www.example.org')).toBe('alice/web:latest');
  });

  it('names every host that is refused, with its place', async () => {
    const table = routeTable();
    const error = (await table.bind(alice, 'alice/web', ['localhost', 'ok.localhost', 'web.bob.localhost']).catch((thrown: unknown) => thrown)) as PipesError;
    expect((error.members['faults'] as { path: string }[]).map(({ path }) => path)).toEqual(['domains[0]', 'domains[2]']);
    expect(error.message).toMatch(/localhost is one of pipes' own hosts; web\.bob\.localhost means bob\/web here/);
  });

  it('what stands already is not judged again', async () => {
    const table = routeTable({ 'web.bob.localhost': 'alice/web' });
    await table.bind(alice, 'alice/web', ['new.localhost', 'web.bob.localhost']);
    expect(table.domainsOf('alice/web')).toEqual(['new.localhost', 'web.bob.localhost']);
    await table.bind(alice, 'alice/web', ['new.localhost']);
    expect(await outcome(table.bind(alice, 'alice/web', ['new.localhost', 'web.bob.localhost']))).toBe('domain_forbidden');
  });

  it('of two at once one has it, and the other all that it had before', async () => {
    const table = routeTable({ 'old.localhost': 'bob/web' });
    const ends = await Promise.all([outcome(table.bind(admin, 'alice/web', ['shop.localhost'])), outcome(table.bind(admin, 'bob/web', ['new.localhost', 'shop.localhost']))]);
    expect(ends).toEqual(['bound', 'domain_taken']);
    expect([table.domainsOf('alice/web'), table.domainsOf('bob/web')]).toEqual([['shop.localhost'], ['old.localhost']]);
  });
});

describe('what a bound host means', () => {
  const bound: BoundDomains = { 'www.example.org': 'alice/web', 'web.bob.localhost': 'alice/web', 'example.com': 'alice/web', 'panel.example.net': 'alice/web' };
  it.each([
    ['www.example.org', 'alice/web:latest'],
    ['WWW.Example.ORG.:8080', 'alice/web:latest'],
    ['web.bob.localhost', 'alice/web:latest'],
    ['main.web.bob.localhost', 'bob/web:main'],
    ['example.org', 'host_unknown'],
    ['example.com', 'platform'],
    ['panel.example.net', 'platform'],
    ['__proto__.localhost', 'host_unknown'],
    ['constructor', 'platform'],
    ['127.0.0.1', 'address'],
    ['a..b', 'host_malformed'],
  ])('%s: %s', (host, expected) => {
    expect(meaning(routeTable(bound, served), host)).toBe(expected);
  });

  it('its revision is another once something was bound, and the same when nothing could be', async () => {
    const table = routeTable();
    const { revision } = table;
    await outcome(table.bind(alice, 'alice/web', ['localhost']));
    expect(table.revision).toBe(revision);
    await table.bind(alice, 'alice/web', ['shop.localhost']);
    expect(table.revision).not.toBe(revision);
  });

  it('is written only when something changes', async () => {
    const store = new MemoryDomains({ 'shop.localhost': 'alice/web' });
    const before = store.bound;
    await new RouteTable({ store, rules: NO_RULES }).bind(alice, 'alice/web', ['shop.localhost']);
    expect(store.bound).toBe(before);
  });
});
