import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { trustedProxies } from '../../../src/config/settings.ts';
import { clientOf } from '../../../src/proxy/client-of.ts';

const isTrusted = trustedProxies(['127.0.0.1', '10.0.0.0/8', 'fd00::/8']);
const seen = (peer: string, forwarded?: string): string | undefined => clientOf({ socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': forwarded } } as unknown as IncomingMessage, isTrusted);

describe('the client that a request is counted for', () => {
  it.each([
    ['is the peer, whatever a stranger says of itself', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['is the peer where a stranger claims to be this machine', '203.0.113.9', '127.0.0.1', '203.0.113.9'],
    ['is whom a trusted proxy saw', '127.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['is the last one that no proxy of ours vouches for', '127.0.0.1', '198.51.100.1, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['is not what a client wrote before the proxy added its address', '::ffff:127.0.0.1', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['may have an IPv6 address', 'fd00::1', '2001:db8::7', '2001:db8::7'],
    ['is the proxy itself where that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['is the outermost proxy where all are ours', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ])('%s', (_what, peer, forwarded, client) => {
    expect(seen(peer, forwarded)).toBe(client);
  });
});
