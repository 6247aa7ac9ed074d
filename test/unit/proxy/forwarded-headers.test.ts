import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { forwardedHeaders, hasBody, plainAddress } from '../../../src/proxy/forwarded-headers.ts';
import { nominatedBy, trailersToSend } from '../../../src/proxy/hop-by-hop.ts';

function asking(remoteAddress: string, host: string, method = 'GET'): IncomingMessage {
  return { method, httpVersion: '1.1', rawHeaders: ['Host', host], headers: { host }, socket: { remoteAddress } } as unknown as IncomingMessage;
}

const OPTIONS = { requestId: 'r', isPeerTrusted: false, isOwnToken: () => false, isUpgrade: false };

function valueOf(headers: string[], name: string): string | undefined {
  const at = headers.findIndex((entry, index) => index % 2 === 0 && entry === name);
  return at < 0 ? undefined : headers[at + 1];
}

describe('forwardedHeaders', () => {
  it('writes IPv6 peers as RFC 7239 wants them', () => {
    const headers = forwardedHeaders(asking('2001:db8::1', 'a'), OPTIONS);
    expect(valueOf(headers, 'Forwarded')).toBe('for="[2001:db8::1]";host=a;proto=http');
    expect(valueOf(headers, 'X-Forwarded-For')).toBe('2001:db8::1');
  });

  it('shows an IPv4 peer of a dual-stack socket as IPv4', () => {
    expect(valueOf(forwardedHeaders(asking('::ffff:192.0.2.9', 'a'), OPTIONS), 'X-Forwarded-For')).toBe('192.0.2.9');
    expect(plainAddress('::1')).toBe('::1');
  });

  it('quotes a host that is no token, and cannot be made to end the quotes', () => {
    const headers = forwardedHeaders(asking('192.0.2.1', 'a";for=evil\\'), OPTIONS);
    expect(valueOf(headers, 'Forwarded')).toBe('for=192.0.2.1;host="a\\";for=evil\\\\";proto=http');
  });

  it('frames a POST without a body, so that Node does not send it chunked', () => {
    expect(valueOf(forwardedHeaders(asking('::1', 'a', 'POST'), OPTIONS), 'Content-Length')).toBe('0');
  });
});

describe('hasBody', () => {
  it.each([
    [{}, false],
    [{ 'content-length': '0' }, false],
    [{ 'content-length': '1' }, true],
    [{ 'transfer-encoding': 'chunked' }, true],
  ])('%o → %s', (headers, expected) => {
    expect(hasBody({ headers } as unknown as IncomingMessage)).toBe(expected);
  });
});

describe('nominatedBy', () => {
  it.each([undefined, 'close', 'keep-alive', 'Keep-Alive, Upgrade', 'Host, content-length , VIA,x-forwarded-for', ','])('%s names nothing more', (value) => {
    expect(nominatedBy(value)).toBeUndefined();
  });

  it('names the rest in lower case', () => {
    expect([...nominatedBy('close, X-One ,x-TWO')!]).toEqual(['x-one', 'x-two']);
  });
});

describe('trailersToSend', () => {
  it('keeps case, order and duplicates, and drops what frames, routes or authenticates', () => {
    expect(trailersToSend(['X-a', '1', 'x-A', '2', 'Host', 'b', 'Transfer-Encoding', 'chunked', 'authorization', 'x', 'X-Forwarded-For', '1', 'X-Pipes-Token', '1', 'x_pipes_token', '1'])).toEqual([['X-a', '1'], ['x-A', '2']]);
  });
});
