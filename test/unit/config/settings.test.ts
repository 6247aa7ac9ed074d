import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SETTINGS, trustedProxies, type Setting } from '../../../src/config/settings.ts';
import { parseRegistryBase } from '../../../src/images/image-ref.ts';
import { Credentials, API_TOKEN_LENGTH } from '../../../src/security/api/credentials.ts';
import { Policy } from '../../../src/security/proxy/policy.ts';

const all = Object.entries(SETTINGS) as [string, Setting<unknown>][];

describe('the table of settings', () => {
  it.each(all)('%s takes its own defaults', (_name, { kind, fallback, inImage }) => {
    for (const text of [fallback, inImage]) if (text !== undefined) expect(kind.parse(text)).toBeDefined();
  });

  it.each(all)('%s has one line for people that ends as a sentence', (_name, { doc, kind }) => {
    expect(doc).toMatch(/^[A-Z<n][^\n]*\.$/);
    expect(kind.allowed).toMatch(/^[^.\n]+$|\./);
  });

  it('keeps every password, token and secret out of sight', () => {
    const named = all.filter(([name]) => /PASSWORD|TOKEN|SECRET/.test(name));
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter(([, { secret }]) => secret !== true)).toEqual([]);
  });
});

describe('grammars that other rooms have, too', () => {
  /** Texts near the border between what is a pattern and what is none. */
  const nearPattern = fc.string({ unit: fc.constantFrom('a', 'z', '0', '*', '/', ',', ' ', '.', '_', '-', 'A', '?', ':'), maxLength: 12 });

  it('ALLOW and DENY take exactly what security/patterns compiles', () => {
    fc.assert(
      fc.property(nearPattern, (text) => {
        expect(SETTINGS.ALLOW.kind.parse(text) !== undefined).toBe(Policy.from(text, '') !== undefined);
        expect(SETTINGS.DENY.kind.parse(text) !== undefined).toBe(Policy.from('*', text) !== undefined);
      }),
      { numRuns: 2_000 },
    );
  });

  const nearRegistry = fc
    .tuple(
      fc.constantFrom('', 'http://', 'https://', 'ftp://'),
      fc.string({ unit: fc.constantFrom('a', 'B', '0', '.', '-', '_', ':', '/'), maxLength: 10 }),
      fc.constantFrom('', ':5000', ':', '/', '/team', '/Team', '/team/sub/', '/a__b', '/a..b', '/a--b', '//'),
    )
    .map((parts) => parts.join(''));

  it('REGISTRY takes only what images/image-ref understands', () => {
    fc.assert(
      fc.property(nearRegistry, (text) => {
        // The start reads it with both, one after the other, and counts on the second not to refuse.
        if (SETTINGS.REGISTRY.kind.parse(text) !== undefined) expect(parseRegistryBase(text), text).toBeDefined();
      }),
      { numRuns: 5_000 },
    );
  });

  it.each(['docker.io', 'registry.example.com/team', '127.0.0.1:5000', 'https://registry.example.com/', 'localhost:5000/a/b', 'a.example/my_team/x-y'])('REGISTRY takes %s', (text) => {
    expect(SETTINGS.REGISTRY.kind.parse(text)).toBe(text);
    expect(parseRegistryBase(text)).toBeDefined();
  });

  // Docker would take the name for a user of Docker Hub, and send the login there.
  it.each(['registry', 'registry/team', 'http://registry', 'http://registry/team.a', 'localhosts', 'localhosts/a'])('REGISTRY does not take %s', (text) => {
    expect(SETTINGS.REGISTRY.kind.parse(text)).toBeUndefined();
    expect(parseRegistryBase(text)).toBeUndefined();
  });

  it('API_TOKEN is as long as security/credentials wants it, and can be sent in a header', () => {
    const { kind } = SETTINGS.API_TOKEN;
    expect(kind.parse('x'.repeat(API_TOKEN_LENGTH))).toBeDefined();
    expect(kind.parse('x'.repeat(API_TOKEN_LENGTH - 1))).toBeUndefined();
    expect(kind.parse('a token with blanks in it')).toBeUndefined();
    const token = 'sixteen-characters';
    const credentials = new Credentials({ store: { tokens: () => [], putToken: () => Promise.resolve(), removeToken: () => Promise.resolve(false) }, apiToken: token, isOpen: false, nowMs: () => 0 });
    expect(credentials.authenticate(`Bearer ${token}`, '127.0.0.1')?.name).toBe('API_TOKEN');
  });
});

describe('addresses', () => {
  it.each([
    ['BIND', ['0.0.0.0', '::', '127.0.0.1'], ['localhost', '1.2.3', '0.0.0.0:80', '']],
    ['DOMAIN', ['example.com', 'Example.COM, b.example', 'localhost'], ['http://example.com', 'a..b', '*.example.com', 'example.com:80', 'a'.repeat(64)]],
    ['DOCKER_HOST', ['/var/run/docker.sock', 'unix:///run/d.sock', 'tcp://10.0.0.1:2376', 'https://docker.example'], ['docker.sock', 'unix://', 'ssh://host', 'tcp://']],
    ['NETWORK_POOL', ['10.213.0.0/16', '192.168.0.0/26', '10.0.0.0/8'], ['10.213.0.0', '10.0.0.0/27', '10.0.0.0/7', 'fd00::/16', '300.0.0.0/16']],
    ['TRUST_PROXY', ['10.0.0.0/8', '127.0.0.1, ::1', 'fd00::/8', ''], ['10.0.0.0/33', 'proxy.example', '::1/129', '10.0.0/8']],
  ] as const)('%s', (name, taken, refused) => {
    const { kind } = SETTINGS[name] as Setting<unknown>;
    for (const text of taken) expect(kind.parse(text), text).toBeDefined();
    for (const text of refused) expect(kind.parse(text), text).toBeUndefined();
  });
});

describe('trustedProxies', () => {
  it('trusts nobody when nobody is named', () => {
    expect(trustedProxies([])('127.0.0.1')).toBe(false);
  });

  it('knows addresses and subnets of both families, and IPv4 in the clothes of IPv6', () => {
    const isTrusted = trustedProxies(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);
    for (const address of ['10.1.2.3', '192.0.2.7', 'fd12::1', '::ffff:10.1.2.3']) expect(isTrusted(address), address).toBe(true);
    for (const address of ['11.0.0.1', '192.0.2.8', 'fe80::1', '::ffff:11.0.0.1', 'unknown', '']) expect(isTrusted(address), address).toBe(false);
  });
});

describe('what only looks like a value', () => {
  it.each(['registry', 'my-registry/team', 'https://registry', 'registry.example.com:99999', 'a..b:5000', 'a.-b/x', `${'a'.repeat(130)}.test`])('REGISTRY refuses %s, which Docker would read otherwise or not at all', (text) => {
    expect(SETTINGS.REGISTRY.kind.parse(text)).toBeUndefined();
  });
  it.each(['fe80::1%eth0', 'fe80::1%eth0/64', '1.2.3.4/24/7', '1.2.3.4/'])('TRUST_PROXY refuses %s', (text) => {
    expect(SETTINGS.TRUST_PROXY.kind.parse(text)).toBeUndefined();
  });
  it('NETWORK_POOL refuses a subnet with more behind it', () => {
    expect(SETTINGS.NETWORK_POOL.kind.parse('10.0.0.0/16/7')).toBeUndefined();
  });
  it.each(['unix:///a\0b', 'tcp://a b:1', 'tcp://user@host:1'])('DOCKER_HOST refuses %j', (text) => {
    expect(SETTINGS.DOCKER_HOST.kind.parse(text)).toBeUndefined();
  });
});
