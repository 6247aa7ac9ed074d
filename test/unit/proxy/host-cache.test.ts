import { describe, expect, it } from 'vitest';
import { HostCache } from '../../../src/proxy/host-cache.ts';
import { routeTable } from '../../fakes/memory-domains.ts';
import { ALL_PUBLIC } from '../../fakes/open-door.ts';

const admin = { name: 'root', scopes: [{ kind: 'admin' }] } as const;

describe('HostCache', () => {
  it('remembers what a host means: the very same each time', () => {
    const hosts = new HostCache(routeTable(), ALL_PUBLIC);
    const first = hosts.lookUp('main.web.alice.localhost');
    expect(first).toEqual({ kind: 'reference', reference: { user: 'alice', repo: 'web', tag: 'main' }, key: 'alice/web:main', access: 'public' });
    expect(hosts.lookUp('main.web.alice.localhost')).toBe(first);
  });

  it('knows of a name at once when it is bound, bound to another, and given up', async () => {
    const routes = routeTable();
    const hosts = new HostCache(routes, ALL_PUBLIC);
    const host = 'web.bob.localhost';
    expect(hosts.lookUp(host)).toMatchObject({ key: 'bob/web:latest' });
    expect(() => hosts.lookUp('shop.localhost')).toThrow(/nothing is bound/);
    await routes.bind(admin, 'alice/web', [host, 'shop.localhost']);
    expect([hosts.lookUp(host), hosts.lookUp('shop.localhost')]).toMatchObject([{ key: 'alice/web:latest' }, { key: 'alice/web:latest' }]);
    await routes.bind(admin, 'alice/web', []);
    expect(hosts.lookUp(host)).toMatchObject({ key: 'bob/web:latest' });
    await routes.bind(admin, 'carol/web', ['shop.localhost']);
    expect(hosts.lookUp('shop.localhost')).toMatchObject({ key: 'carol/web:latest' });
  });
});
