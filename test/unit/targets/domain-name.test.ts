import { describe, expect, it } from 'vitest';
import { asciiDomain, domainFault } from '../../../src/targets/domain-name.ts';
import { normaliseHost } from '../../../src/targets/host-name.ts';

const label63 = 'a'.repeat(63);

describe('a host name to bind', () => {
  it.each([
    ['www.example.org', 'www.example.org'],
    ['shop.localhost', 'shop.localhost'],
    ['a-b--c.example.org', 'a-b--c.example.org'],
    ['1and1.example', '1and1.example'],
    ['1.2.3.4.example', '1.2.3.4.example'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['日本語.example', 'xn--wgv71a119e.example'],
    ['日本語。example', 'xn--wgv71a119e.example'],
    [`${label63}.example`, `${label63}.example`],
    [`${label63}.${label63}.${label63}.${'a'.repeat(61)}`, `${label63}.${label63}.${label63}.${'a'.repeat(61)}`],
  ])('%s is kept as %s, which is what a Host header carries', (text, domain) => {
    expect(domainFault(text)).toBeUndefined();
    expect(asciiDomain(text)).toBe(domain);
    expect(normaliseHost(domain)).toBe(domain);
    expect(asciiDomain(domain)).toBe(domain);
  });

  it.each([
    ['', /empty/],
    ['*.example.org', /wildcards/],
    ['*', /wildcards/],
    ['https://www.example.org', /alone/],
    ['www.example.org:80', /alone/],
    ['www.example.org/', /alone/],
    ['user@www.example.org', /alone/],
    ['www example.org', /alone/],
    ['www.example.org\r\nX-A: b', /alone/],
    ['%41.example.org', /alone/],
    ['ü%2eexample.org', /alone/],
    ['[::1]', /alone/],
    ['::1', /alone/],
    ['www.Example.org', /lower case/],
    ['BÜCHER.example', /lower case/],
    ['www.example.org.', /end with a dot/],
    ['.', /end with a dot/],
    ['.example.org', /two dots/],
    ['www..example.org', /two dots/],
    ['-a.example.org', /"-a"/],
    ['a-.example.org', /"a-"/],
    ['my_app.example.org', /"my_app"/],
    ['a\0b.example.org', /no host name|label/],
    [`${label63}a.example`, /63/],
    [`${label63}.${label63}.${label63}.${'a'.repeat(62)}`, /253/],
    ['127.0.0.1', /IP address/],
    ['0x7f.1', /IP address/],
    ['2130706433', /IP address/],
    ['1.2.3', /IP address/],
    ['example.1', /IP address/],
    ['１２７.0.0.1', /IP address/],
    ['xn--zzzz99999.example', /no host name/],
    ['xn--abc.example', /no host name/],
    ['xn--BCHER-KVA.example', /lower case/],
    ['\u00ad.example', /two dots|no host name/],
  ])('%j is refused', (text, reason) => {
    expect(domainFault(text)).toMatch(reason);
  });
});
