import { describe, expect, it } from 'vitest';
import { leadsToPipes } from '../../../src/proxy/own-redirect.ts';

describe('leadsToPipes', () => {
  it.each([
    '/__proxyapi', '/__proxyapi/container/stop', '/__proxyapi?x', '/__proxyapi#x', '__proxyapi/container', './__proxyapi', '../../__proxyapi/x', '/a/../__proxyapi/x', '/a/%2e%2e/__proxyapi', '//__proxyapi/x', '///__proxyapi/x',
    '\\__proxyapi\\x', '/\\__proxyapi', '/%5f_proxyapi/x', '/%5F%5Fproxyapi', '/__prox%79api', '/__pro\txyapi/x', ' /__proxyapi', 'http://main.web.alice.localhost/__proxyapi/x', 'HTTP://other.example:8080//./__proxyapi', '//host/__proxyapi', '/x%2f__proxyapi',
  ])('%s', (location) => expect(leadsToPipes(location)).toBe(true));

  it.each(['/', '', '/__proxyapis', '/x__proxyapi', '/login?next=/__proxyapi', '/#/__proxyapi', '/__PROXYAPI', 'https://example.com/', '/%255f_proxyapi', '/__proxyapi;x', '%'])('not %s', (location) => expect(leadsToPipes(location)).toBe(false));
});
