import { get, HOST_FIELD, head, post, type ClientAnswer, type HttpCase, type UpstreamAnswer } from './http-case.ts';

const FAILED = { status: 502, code: 'upstream_failed' } as const;
const asked = [{ line: 'GET /a' }];
const ok = (...fields: readonly string[]): string => head('HTTP/1.1 200 OK', ...fields);
const CHUNKED = 'Transfer-Encoding: chunked';
const hidden = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden';

/** An answer to GET /a, and what the client gets of it; the connection serves on, and the next answer is the right one. */
function answer(name: string, bytes: UpstreamAnswer, gets: ClientAnswer, more: Partial<HttpCase> = {}): HttpCase {
  return { name, sends: get('/a'), answers: { '/a': bytes }, gets: [gets], arrives: asked, ...more };
}

/** Heads that are no answer, or one that can be understood in two ways. */
const FAULTY: readonly (readonly [name: string, bytes: string])[] = [
  ['both framings', ok('Content-Length: 5', CHUNKED) + '5\r\nhello\r\n0\r\n\r\n'],
  ['both framings, the other way round', ok(CHUNKED, 'Content-Length: 5') + '5\r\nhello\r\n0\r\n\r\n'],
  ['two different lengths', ok('Content-Length: 5', 'Content-Length: 6') + 'hello'],
  ['the same length twice', ok('Content-Length: 5', 'Content-Length: 5') + 'hello'],
  ['a list of lengths', ok('Content-Length: 5, 5') + 'hello'],
  ['a negative length', ok('Content-Length: -5') + 'hello'],
  ['a length with a sign', ok('Content-Length: +5') + 'hello'],
  ['a hexadecimal length', ok('Content-Length: 0x5') + 'hello'],
  ['a length that is a word', ok('Content-Length: five') + 'hello'],
  ['a length that is empty', ok('Content-Length:') + 'hello'],
  ['a length of 2^64', ok('Content-Length: 18446744073709551616') + 'hello'],
  ['gzip, then chunked', ok('Transfer-Encoding: gzip, chunked') + '5\r\nhello\r\n0\r\n\r\n'],
  ['chunked, then gzip', ok('Transfer-Encoding: chunked, gzip') + '5\r\nhello\r\n0\r\n\r\n'],
  ['chunked twice', ok(CHUNKED, CHUNKED) + '5\r\nhello\r\n0\r\n\r\n'],
  ['gzip alone', ok('Transfer-Encoding: gzip') + 'hello'],
  ['an unknown coding', ok('Transfer-Encoding: xchunked') + 'hello'],
  ['identity', ok('Transfer-Encoding: identity') + 'hello'],
  ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
  ['a field that ends in LF', 'HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 5\r\n\r\nhello'],
  ['a field with a CR', 'HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\nContent-Length: 5\r\n\r\nhello'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 5\r\n\r\nhello'],
  ['a blank before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello'],
  ['a field with a NUL', 'HTTP/1.1 200 OK\r\nX-A: 1\0\r\nContent-Length: 5\r\n\r\nhello'],
  ['a name with a blank', 'HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 5\r\n\r\nhello'],
  ['an empty name', 'HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 5\r\n\r\nhello'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['a status that is a word', 'HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['status 000', 'HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['status 099', 'HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['HTTP/0.9', 'HTTP/0.9 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['HTTP/3.0', 'HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['a request instead of an answer', get('/x')],
  ['no HTTP at all', 'hello, this is no HTTP\r\n\r\n'],
  ['a TLS alert', '\x15\x03\x01\0\x02\x02\x0a'],
  ['the greeting of another protocol', '220 mail.example ESMTP\r\n'],
  ['a head of 20 KB', ok(`X-A: ${'x'.repeat(20_000)}`, 'Content-Length: 0')],
  ['10,000 fields', ok(...Array<string>(10_000).fill('a: b'), 'Content-Length: 0')],
];

/** Bodies that break off or are faulty after the head has gone out: the client can tell. */
const BROKEN: readonly (readonly [name: string, bytes: UpstreamAnswer])[] = [
  ['shorter than its length', { bytes: ok('Content-Length: 10') + 'hello', then: 'close' }],
  ['shorter than its length, and reset', { bytes: ok('Content-Length: 10') + 'hello', then: 'reset' }],
  ['chunks without the last one', { bytes: ok(CHUNKED) + '5\r\nhello\r\n', then: 'close' }],
  ['a chunk that breaks off', { bytes: ok(CHUNKED) + '5\r\nhel', then: 'close' }],
  ['chunks that end without trailers', { bytes: ok(CHUNKED) + '5\r\nhello\r\n0\r\n', then: 'close' }],
  ['a chunk size that is none', ok(CHUNKED) + '5\r\nhello\r\nzz\r\n'],
  ['a chunk size with 0x', ok(CHUNKED) + '5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size that is too large', ok(CHUNKED) + '5\r\nhello\r\nfffffffffffffffff\r\n'],
  ['a chunk that ends in LF', ok(CHUNKED) + '5\r\nhello\n0\r\n\r\n'],
  ['a chunk longer than its size', ok(CHUNKED) + '4\r\nhello\r\n0\r\n\r\n'],
  ['a trailer that is folded', ok(CHUNKED) + '5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n'],
];

/** More than was asked for, in one piece with the answer or after it: it goes to nobody. */
const TOO_MUCH: readonly (readonly [name: string, bytes: UpstreamAnswer, gets: ClientAnswer])[] = [
  ['longer than its length', ok('Content-Length: 5') + 'hello, world', { status: 200, body: 'hello' }],
  ['a second answer in one piece with the first', ok('Content-Length: 5') + 'hello' + hidden, { status: 200, body: 'hello' }],
  ['a second answer after chunks', ok(CHUNKED) + '5\r\nhello\r\n0\r\n\r\n' + hidden, { status: 200, body: 'hello' }],
  ['rubbish after chunks', ok(CHUNKED) + '5\r\nhello\r\n0\r\n\r\nrubbish', { status: 200, body: 'hello' }],
  ['a 204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', { status: 204, body: '', fields: { 'content-length': undefined } }],
  ['a 204 with chunks', `HTTP/1.1 204 No Content\r\n${CHUNKED}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, { status: 204, body: '', fields: { 'transfer-encoding': undefined } }],
  ['a 204 with another answer', `HTTP/1.1 204 No Content\r\n\r\n${hidden}`, { status: 204, body: '' }],
  ['a 304 with a body', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello', { status: 304, body: '' }],
  ['a 304 with another answer', `HTTP/1.1 304 Not Modified\r\n\r\n${hidden}`, { status: 304, body: '' }],
  ['an answer without a body, and one', ok('Content-Length: 0') + hidden, { status: 200, body: '' }],
];

const UNASKED: readonly (readonly [name: string, unasked: string])[] = [
  ['a whole answer', hidden],
  ['half an answer', 'HTTP/1.1 200 OK\r\nContent-'],
  ['rubbish', 'rubbish'],
  ['one byte', 'H'],
  ['an empty line', '\r\n'],
  ['a 408, as servers say goodbye', 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'],
  ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
];

/** Answers of an app that is hostile, or only wrong (RFC 9112 sections 6.3 and 9.2). */
export const ANSWERS: readonly HttpCase[] = [
  ...FAULTY.map(([name, bytes]) => answer(`a faulty head: ${name}`, { bytes, then: 'close' }, FAILED, { rfc: '9112, 6.3' })),
  ...BROKEN.map(([name, bytes]) => answer(`a broken body: ${name}`, bytes, { status: 200, isWhole: false }, { ends: 'cut', rfc: '9112, 8' })),
  ...TOO_MUCH.map(([name, bytes, gets]) => answer(`too much: ${name}`, bytes, gets, { rfc: '9112, 6.3' })),
  ...UNASKED.map(([name, unasked]) => answer(`unasked: ${name}`, { bytes: ok('Content-Length: 5') + 'hello', unasked }, { status: 200, body: 'hello' }, { rfc: '9112, 9.2' })),
  answer('unasked, after an answer without a length', { bytes: ok(CHUNKED) + '0\r\n\r\n', unasked: hidden }, { status: 200, body: '' }, { rfc: '9112, 9.2' }),
  { name: 'an answer to HEAD with a body', rfc: '9110, 9.3.2', sends: head('HEAD /a HTTP/1.1', HOST_FIELD), answers: { '/a': ok('Content-Length: 5') + 'hello' }, gets: [{ status: 200, body: '', isToHead: true, fields: { 'content-length': '5' } }], arrives: [{ line: 'HEAD /a' }] },
  { name: 'an answer to HEAD with another answer as its body', rfc: '9110, 9.3.2', sends: head('HEAD /a HTTP/1.1', HOST_FIELD), answers: { '/a': ok(`Content-Length: ${hidden.length}`) + hidden }, gets: [{ status: 200, body: '', isToHead: true }], arrives: [{ line: 'HEAD /a' }] },
  { name: 'an answer to HEAD with chunks', rfc: '9110, 9.3.2', sends: head('HEAD /a HTTP/1.1', HOST_FIELD), answers: { '/a': ok(CHUNKED) + '5\r\nhello\r\n0\r\n\r\n' }, gets: [{ status: 200, body: '', isToHead: true }], arrives: [{ line: 'HEAD /a' }] },
  { name: 'an answer before the body is there', sends: post('/a', ['Content-Length: 5'], 'hello'), answers: { '/a': { bytes: ok('Content-Length: 2') + 'ok', isEarly: true } }, gets: [{ status: 200, body: 'ok' }], arrives: [{ line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }] },

  answer('HTTP/1.0, and the body ends with the connection', { bytes: 'HTTP/1.0 200 OK\r\n\r\nhello', then: 'close' }, { status: 200, body: 'hello' }),
  answer('HTTP/1.1, and the body ends with the connection', { bytes: 'HTTP/1.1 200 OK\r\n\r\nhello', then: 'close' }, { status: 200, body: 'hello' }),
  answer('a body that ends with the connection and reads like an answer', { bytes: `HTTP/1.1 200 OK\r\n\r\n${hidden}`, then: 'close' }, { status: 200, body: hidden }),
  answer('HTTP/1.0 with a length', { bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello', then: 'close' }, { status: 200, body: 'hello' }),
  answer('Connection: close is of the app\'s hop alone', { bytes: ok('Connection: close', 'Content-Length: 5') + 'hello', then: 'close' }, { status: 200, body: 'hello' }),
  answer('fields that Connection names', ok('Connection: X-A', 'X-A: 1', 'X-B: 2', 'Content-Length: 0'), { status: 200, fields: { 'x-a': undefined, 'x-b': '2' } }, { rfc: '9110, 7.6.1' }),
  answer('Connection names the length, which stays', ok('Connection: Content-Length', 'Content-Length: 5') + 'hello', { status: 200, body: 'hello', fields: { 'content-length': '5' } }, { rfc: '9110, 7.6.1' }),
  answer('fields of the app\'s hop', ok('Keep-Alive: timeout=1', 'Proxy-Connection: close', 'Proxy-Authenticate: Basic', 'Upgrade: h2c', 'TE: gzip', 'Content-Length: 0'), { status: 200, fields: { 'proxy-connection': undefined, 'proxy-authenticate': undefined, upgrade: undefined, te: undefined } }, { rfc: '9110, 7.6.1' }),
  answer('repeated fields keep their order', ok('Set-Cookie: a=1', 'Set-Cookie: b=2', 'X-A: 1', 'X-A: 2', 'Content-Length: 0'), { status: 200, fields: { 'set-cookie': 'a=1 | b=2', 'x-a': '1 | 2' } }),
  answer('fields that Node would drop as repeated go on', ok('Location: /1', 'Location: /2', 'Content-Type: a/b', 'Content-Type: c/d', 'ETag: "1"', 'ETag: "2"', 'Content-Length: 0'), { status: 200, fields: { location: '/1 | /2', 'content-type': 'a/b | c/d', etag: '"1" | "2"' } }),
  answer('1500 fields all go on, a length among the last', ok(...Array<string>(1500).fill('a: b'), 'Content-Length: 5') + 'hello', { status: 200, body: 'hello', fields: { a: Array<string>(1500).fill('b').join(' | ') } }),
  answer('1500 fields all go on, a coding among the last', ok(...Array<string>(1500).fill('a: b'), CHUNKED) + '5\r\nhello\r\n0\r\n\r\n', { status: 200, body: 'hello' }),
  answer('high bytes in a field', ok('X-A: caf\xe9', 'Content-Length: 0'), { status: 200, fields: { 'x-a': 'caf\xe9' } }),
  answer('no reason', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', { status: 200 }),
  answer('high bytes in the reason', 'HTTP/1.1 200 caf\xe9\r\nContent-Length: 0\r\n\r\n', { status: 200 }),
  answer('a status that nobody knows', 'HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok', { status: 799, body: 'ok' }),
  answer('status 205 with a body', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok', { status: 205, body: 'ok' }),
  answer('chunk extensions end here', ok(CHUNKED) + '5;a=b\r\nhello\r\n0;c\r\n\r\n', { status: 200, body: 'hello' }, { rfc: '9112, 7.1.1' }),
  answer('trailers', ok('Trailer: X-A', CHUNKED) + '5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n', { status: 200, body: 'hello', trailers: ['X-A: 1'] }),
  answer('trailers that are dropped', ok(CHUNKED) + '5\r\nhello\r\n0\r\nX-A: 1\r\nSet-Cookie: a=b\r\nLocation: /x\r\nX-Forwarded-For: 1\r\n\r\n', { status: 200, body: 'hello', trailers: ['X-A: 1'] }, { rfc: '9110, 6.5.1' }),
  answer('a length with zeros before it', ok('Content-Length: 05') + 'hello', { status: 200, body: 'hello', fields: { 'content-length': '5' } }),
  answer('no byte at all', { bytes: '', then: 'close' }, FAILED),
  answer('no byte at all, and reset', { bytes: '', then: 'reset' }, FAILED),
  answer('half a head', { bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\r\n', then: 'close' }, FAILED),
  answer('half a head, and reset', { bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\r\n', then: 'reset' }, FAILED),
];
