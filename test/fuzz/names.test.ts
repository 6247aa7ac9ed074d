import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PipesError } from '../../src/core/errors.ts';
import { parseImageRef, parseRegistryBase, printImageRef } from '../../src/images/image-ref.ts';
import { parseChallenge } from '../../src/images/registry-challenge.ts';
import { registryUrl } from '../../src/images/registry-address.ts';
import { errorForm } from '../../src/proxy/accept.ts';
import { compilePattern } from '../../src/security/patterns.ts';
import { joinFlatLabel, splitFlatLabel } from '../../src/targets/flat-label.ts';
import { parseHostName, printFlatHost, printPlainHost, type HostRules } from '../../src/targets/host-name.ts';
import { makeReference, parseReference, printReference } from '../../src/targets/reference.ts';
import { check } from './fuzzing.ts';
import { oddText } from './inputs.ts';

/** Nearly a host: labels and separators of all kinds. */
const label = fc.oneof(fc.constantFrom('web', 'alice', 'v1', 'z-d', 'z-c', 'xn--bcher-kva', 'a--b', '--', 'z-', '_', '-', '', 'localhost', 'com', 'co', 'uk', 'duckdns', 'pipes', '127', '0x7f'), fc.string({ maxLength: 12 }), fc.string({ minLength: 60, maxLength: 66 }));
const host = fc.oneof(
  oddText,
  fc.array(label, { minLength: 1, maxLength: 9 }).map((labels) => labels.join('.')),
  fc.tuple(fc.array(label, { minLength: 1, maxLength: 5 }), fc.oneof(fc.nat({ max: 99_999 }).map(String), oddText)).map(([labels, port]) => `${labels.join('.')}:${port}`),
  fc.oneof(fc.ipV6(), fc.string({ maxLength: 20 })).map((address) => `[${address}]`),
);
const rules: fc.Arbitrary<HostRules> = fc.record({
  domains: fc.constantFrom<string[]>([], ['example.com'], ['example.com', 'apps.example.com']),
  domainLevels: fc.constantFrom(undefined, 1, 2, 10),
  platformHosts: fc.constantFrom<string[]>([], ['status.example.com']),
});

/** What the function throws must be one of these codes. */
function refusal(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return thrown instanceof PipesError ? thrown.code : String(thrown);
  }
}

describe('names', () => {
  it('hosts are read, malformed or unknown, and nothing else', async () => {
    await check(
      fc.property(host, rules, (header, given) => {
        expect([undefined, 'host_malformed', 'host_unknown']).toContain(refusal(() => parseHostName(header, given)));
      }),
      4000,
    );
  });

  it('a reference that a host names can be printed, and its hosts name it again', async () => {
    await check(
      fc.property(host, (header) => {
        let name;
        try {
          name = parseHostName(header, { domains: [], domainLevels: undefined, platformHosts: [] });
        } catch {
          return;
        }
        if (name.kind !== 'reference') return;
        expect(parseReference(printReference(name.reference))).toEqual(name.reference);
        for (const print of [printPlainHost, printFlatHost]) {
          const printed = print(name.reference, 'localhost');
          if (printed !== undefined) expect(parseHostName(printed, { domains: [], domainLevels: undefined, platformHosts: [] })).toEqual(name);
        }
      }),
      3000,
    );
  });

  it('references are read or refused, and what is read is printed as it was', async () => {
    const nearly = fc.tuple(label, fc.constantFrom('/', '', '//', '\\'), label, fc.constantFrom(':', '', '::', '@'), label).map((parts) => parts.join(''));
    await check(
      fc.property(fc.oneof(oddText, nearly), (text) => {
        const code = refusal(() => parseReference(text));
        expect([undefined, 'invalid_request']).toContain(code);
        if (code === undefined) expect(parseReference(printReference(parseReference(text)))).toEqual(parseReference(text));
      }),
      3000,
    );
  });

  it('flat labels are reversible, and no label is read as what it was not written from', async () => {
    await check(
      fc.property(fc.array(label, { minLength: 2, maxLength: 3 }), (names) => {
        const reference = makeReference(names[1]!, names[0]!, names[2] ?? 'latest');
        if (!reference) return;
        const written = [reference.tag, reference.repo, reference.user];
        expect(splitFlatLabel(joinFlatLabel(written))).toEqual(written);
      }),
      2000,
    );
    await check(fc.property(oddText, (text) => void splitFlatLabel(text)), 1000);
  });

  it('image names are read or not, and stay what they are', async () => {
    const nearly = fc.tuple(fc.constantFrom('', 'docker.io/', 'localhost:5000/', 'a..b/', 'x:99999/', '[::1]:5000/', 'Registry/'), label, fc.constantFrom('/', ':', '@', ''), label, fc.constantFrom('', ':v1', '@sha256:ab', `@sha256:${'a'.repeat(64)}`)).map((parts) => parts.join(''));
    await check(
      fc.property(fc.oneof(oddText, nearly), (text) => {
        const ref = parseImageRef(text);
        if (!ref) return;
        const printed = printImageRef(ref);
        expect(parseImageRef(printed)).toEqual(ref.digest === undefined ? ref : { ...ref, tag: 'latest' });
        // The engine refuses longer ones (distribution/reference, NameTotalLengthMax).
        expect(`${ref.registry}/${ref.repository}`.length).toBeLessThanOrEqual(255);
        expect(() => registryUrl(ref.registry, new Set())).not.toThrow();
      }),
      3000,
    );
    await check(
      fc.property(fc.oneof(oddText, nearly), (text) => {
        const base = parseRegistryBase(text.slice(0, 120));
        if (!base) return;
        // What the engine would read as a user of Docker Hub is no registry.
        const prefix = base.prefix === '' ? '' : `${base.prefix}/`;
        expect(parseImageRef(`${base.registry}/${prefix}alice/web`)).toMatchObject({ registry: base.registry, repository: `${prefix}alice/web` });
      }),
      2000,
    );
  });

  it('challenges, Accept and patterns take any text, and take no time for it', async () => {
    const list = fc.array(fc.oneof(oddText, fc.constantFrom('Bearer ', 'realm=', '"', '\\', ',', '=', ' ', 'Basic', 'text/html', ';q=', '*', '/')), { maxLength: 40 }).map((parts) => parts.join('').slice(0, 16_384));
    const startedMs = performance.now();
    await check(
      fc.property(list, (text) => {
        parseChallenge(text);
        errorForm(text);
        compilePattern(text.slice(0, 100))?.('alice/web');
      }),
      1000,
    );
    expect(performance.now() - startedMs).toBeLessThan(50_000);
    for (const text of ['a '.repeat(8000), `a="${'\\'.repeat(16_000)}`, `a${' '.repeat(16_000)}b`, 'a="'.repeat(5000), ','.repeat(16_000)]) parseChallenge(text);
    compilePattern(`${'*a'.repeat(40)}*b`)?.(`${'a'.repeat(128)}/${'a'.repeat(128)}`);
  });
});
