import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import { normaliseHost, parseHostName, printFlatHost, printPlainHost, type HostName, type HostRules } from '../../../src/targets/host-name.ts';
import { makeReference, parseReference, printReference, type Reference } from '../../../src/targets/reference.ts';

const NO_RULES: HostRules = { domains: [], domainLevels: undefined, platformHosts: [] };

function read(host: string, rules: Partial<HostRules> = {}): string {
  const name: HostName = parseHostName(host, { ...NO_RULES, ...rules });
  return name.kind === 'reference' ? printReference(name.reference) : name.kind;
}

function codeOf(host: string, rules: Partial<HostRules> = {}): string {
  try {
    return read(host, rules);
  } catch (thrown) {
    return (thrown as PipesError).code;
  }
}

describe('the plain form', () => {
  it.each([
    ['main.web.alice.localhost', 'alice/web:main'],
    ['web.alice.localhost', 'alice/web:latest'],
    ['v1.2.3.web.alice.example.com', 'alice/web:v1.2.3'],
    ['MAIN.Web.ALICE.Example.COM:8080', 'alice/web:main'],
    ['main.web.alice.localhost.', 'alice/web:main'],
    ['main.web.alice.localhost.:80', 'alice/web:main'],
    ['nginx.library.localhost', 'library/nginx:latest'],
    ['1.25.nginx._.localhost', 'library/nginx:1.25'],
    ['web.alice.example.co.uk', 'alice/web:latest'],
    ['web.alice.me.duckdns.org', 'alice/web:latest'],
    ['my_app.team-a.localhost', 'team-a/my_app:latest'],
  ])('%s names %s', (host, reference) => expect(read(host)).toBe(reference));

  it.each([
    ['a.b.c.d.example.com', { domainLevels: 2 }, 'd/c:a.b'],
    ['web.alice.pipes.example.com', { domainLevels: 3 }, 'alice/web:latest'],
    ['web.alice.x', { domainLevels: 1 }, 'alice/web:latest'],
    ['web.alice.a.b.c.d.e', { domainLevels: 5 }, 'alice/web:latest'],
    ['web.alice.apps.example.org', { domains: ['example.org', 'apps.example.org'] }, 'alice/web:latest'],
    ['web.alice.other.org', { domains: ['example.org', 'other.org'] }, 'alice/web:latest'],
    ['web.alice.localhost', { domains: ['example.org'] }, 'alice/web:latest'],
  ])('%s under %o names %s', (host, rules, reference) => expect(read(host, rules)).toBe(reference));
});

describe('the flat form', () => {
  it.each([
    ['main--web--alice.localhost', 'alice/web:main'],
    ['web--alice.localhost', 'alice/web:latest'],
    ['v1z-d2z-d3--web--alice.example.com', 'alice/web:v1.2.3'],
    ['z-cv1--myz-uapp--alice.example.com', 'alice/my_app:V1'],
    ['nginx--library.localhost', 'library/nginx:latest'],
    ['nginx--_.localhost', 'library/nginx:latest'],
    ['xz-sn--web--alice.localhost', 'alice/web:xn'],
    ['zzz-ha--alice.localhost', 'alice/zz-a:latest'],
  ])('%s names %s', (host, reference) => expect(read(host)).toBe(reference));

  it.each(['z-q--web--alice.localhost', 'a--b--c--d.localhost', 'z-c1--web--alice.localhost', 'web--.localhost', 'web.localhost', 'xn--bcher-kva.localhost', 'xn--web--alice.localhost'])('%s is unknown', (host) =>
    expect(codeOf(host)).toBe('host_unknown'),
  );
});

describe('the platform and what is none', () => {
  it.each([
    ['localhost', {}],
    ['localhost:8080', {}],
    ['anything', {}],
    ['example.com', {}],
    ['pipes.localhost', {}],
    ['peroku.example.com', {}],
    ['torokko.example.co.uk', {}],
    ['web.alice.ops.test', { platformHosts: ['web.alice.ops.test'] }],
    ['apps.example.org', { domains: ['apps.example.org'] }],
    ['example.com', { domainLevels: 2 }],
  ])('%s is the platform', (host, rules) => expect(read(host, rules)).toBe('platform'));

  it.each(['127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:80', '10.0.0.1.'])('%s is an address', (host) => expect(read(host)).toBe('address'));

  it.each([
    ['web.alice.example.com', { domains: ['example.org'] }],
    ['notexample.org', { domains: ['example.org'] }],
    ['a.b', { domainLevels: 3 }],
    ['-web.alice.localhost', {}],
    ['duckdns.org', {}],
  ])('%s under %o is unknown', (host, rules) => expect(codeOf(host, rules)).toBe('host_unknown'));

  it.each(['', '.', ':80', 'a..localhost', '.localhost', 'a b.localhost', 'ä.localhost', 'a\u0000.localhost', `${'a'.repeat(64)}.localhost`, `${'a.'.repeat(140)}localhost`, 'web.alice.localhost:99999', 'a.localhost:x', '[zz]', '[::1', 'a/b.localhost'])(
    '%j is malformed',
    (host) => expect(codeOf(host)).toBe('host_malformed'),
  );
});

const component = fc
  .array(fc.tuple(fc.stringMatching(/^[a-z0-9]{1,6}$/), fc.constantFrom('.', '_', '__', '-', '--', '---', 'z-', '')), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.map(([text, join], index) => text + (index === parts.length - 1 ? '' : join || 'x')).join(''))
  .filter((name) => makeReference(name, 'x') !== undefined);
const tag = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/), fc.constantFrom('xn', 'z-', 'latest', 'Latest', 'v1.2.3', '_', 'a--b', 'z', 'Z-z-', 'a..b', 'a.', 'x--', 'z-'));
const reference = fc.tuple(component, component, tag).map(([user, repo, name]) => makeReference(user, repo, name)).filter((made): made is Reference => made !== undefined);

describe('printing and parsing', () => {
  it('agree for every reference in the flat form', () => {
    let printed = 0;
    fc.assert(
      fc.property(reference, fc.constantFrom('localhost', 'example.com', 'example.co.uk'), (made, base) => {
        const host = printFlatHost(made, base);
        if (host === undefined) return; // longer than a DNS label can be
        printed += 1;
        expect(host.slice(0, -base.length - 1)).toMatch(/^(?!xn--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/);
        expect(parseHostName(host, NO_RULES)).toEqual({ kind: 'reference', reference: made });
      }),
      { numRuns: 3000 },
    );
    expect(printed).toBeGreaterThan(1000);
  });

  it('agree for every reference without upper case in the plain form, where a host can carry it', () => {
    let printed = 0;
    fc.assert(
      fc.property(reference, (made) => {
        const host = printPlainHost(made, 'example.com');
        if (host === undefined) {
          const isOrdinary = /^[a-z0-9_-]+$/.test(made.user) && /^[a-z0-9_-]+$/.test(made.repo) && /^[a-z0-9_-]+$/.test(made.tag);
          expect(isOrdinary).toBe(false);
          return;
        }
        printed += 1;
        expect(parseHostName(host, NO_RULES)).toEqual({ kind: 'reference', reference: made });
      }),
      { numRuns: 3000 },
    );
    expect(printed).toBeGreaterThan(300);
  });

  it('give no two references one flat host', () => {
    const owners = new Map<string, string>();
    fc.assert(
      fc.property(reference, (made) => {
        const host = printFlatHost(made, 'localhost');
        if (host === undefined) return;
        const key = printReference(made);
        expect(owners.get(host) ?? key).toBe(key);
        owners.set(host, key);
      }),
      { numRuns: 5000 },
    );
  });

  it('leave latest out', () => {
    const made = parseReference('alice/web');
    expect(printPlainHost(made, 'localhost')).toBe('web.alice.localhost');
    expect(printFlatHost(made, 'localhost')).toBe('web--alice.localhost');
  });

  it('never throw anything but the typed error, whatever the host', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString('latin1'));
    const nearly = fc.array(fc.constantFrom('a', 'z-', '--', '.', '-', '_', ':', '80', '[', ']', 'localhost', 'example.com', 'xn--', '\u00e4', '1', '0'), { maxLength: 60 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(bytes, nearly), fc.constantFrom<Partial<HostRules>>({}, { domainLevels: 2 }, { domains: ['example.com'] }), (host, rules) => {
        try {
          parseHostName(host, { ...NO_RULES, ...rules });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PipesError);
          expect(['host_malformed', 'host_unknown']).toContain((thrown as PipesError).code);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('normaliseHost', () => {
  it('drops port, trailing dot and case', () => expect(normaliseHost('A.Example.COM.:443')).toBe('a.example.com'));
});
