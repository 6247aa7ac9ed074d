import { get, HOST_FIELD, passes, post, refused, type HttpCase } from './http-case.ts';

const CHUNKED = 'Transfer-Encoding: chunked';
const LAST_CHUNK = '0\r\n\r\n';

/** What follows the head of a chunked request and can be read in two ways. */
const FAULTY: readonly (readonly [name: string, body: string])[] = [
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a plus sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a minus sign', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a blank before it', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a blank after it', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a size with a tab after it', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['a size with a blank in it', '0 5\r\nhello\r\n0\r\n\r\n'],
  ['a size with an underscore', '0_5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a letter that is no digit', '5g\r\nhello\r\n0\r\n\r\n'],
  ['a size with a NUL', '5\0\r\nhello\r\n0\r\n\r\n'],
  ['a size with a high byte', '5\xb5\r\nhello\r\n0\r\n\r\n'],
  ['no size', '\r\nhello\r\n0\r\n\r\n'],
  ['a comma', '5,5\r\nhello\r\n0\r\n\r\n'],
  ['a size of 2^64', '10000000000000000\r\nhello\r\n0\r\n\r\n'],
  ['a size of 2^64 and five', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a size of forty digits', `${'f'.repeat(40)}\r\nhello\r\n0\r\n\r\n`],
  ['a size that ends in a bare LF', '5\nhello\r\n0\r\n\r\n'],
  ['a size that ends in a bare CR', '5\rhello\r\n0\r\n\r\n'],
  ['a size that ends in two CRs', '5\r\r\nhello\r\n0\r\n\r\n'],
  ['a chunk that ends in a bare LF', '5\r\nhello\n0\r\n\r\n'],
  ['a chunk that ends in a bare CR', '5\r\nhello\r0\r\n\r\n'],
  ['a chunk that ends in nothing', '5\r\nhello0\r\n\r\n'],
  ['a chunk that ends in two bytes of anything', '5\r\nhelloXX0\r\n\r\n'],
  ['a chunk that is longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
  ['a last chunk that ends in a bare LF', '5\r\nhello\r\n0\n\r\n'],
  ['an end that is a bare LF', '5\r\nhello\r\n0\r\n\n'],
  ['an end that is a bare CR and something', '5\r\nhello\r\n0\r\n\rX'],
  ['an extension that ends in a bare LF', '5;a=b\nhello\r\n0\r\n\r\n'],
  ['an extension with a bare CR', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a NUL', '5;a\0b\r\nhello\r\n0\r\n\r\n'],
  ['an extension before the size', ';a=b5\r\nhello\r\n0\r\n\r\n'],
  ['extensions of 20 KB', `5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`],
  ['a trailer without a colon', '5\r\nhello\r\n0\r\nX-A 1\r\n\r\n'],
  ['a trailer with a blank before the colon', '5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n'],
  ['a trailer that ends in a bare LF', '5\r\nhello\r\n0\r\nX-A: 1\n\r\n'],
  ['a trailer with a bare CR', '5\r\nhello\r\n0\r\nX-A: 1\rX-B: 2\r\n\r\n'],
  ['a trailer with a NUL', '5\r\nhello\r\n0\r\nX-A: \0\r\n\r\n'],
  ['a trailer that is folded', '5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n'],
  ['a trailer with a blank before the name', '5\r\nhello\r\n0\r\n X-A: 1\r\n\r\n'],
  ['a trailer with an empty name', '5\r\nhello\r\n0\r\n: 1\r\n\r\n'],
];

/** Trailers that are dropped, and the rest goes on (RFC 9110 section 6.5.1). */
const FORBIDDEN: readonly string[] = [
  'Host: other.example', 'Content-Type: text/plain', 'Content-Encoding: gzip', 'Content-Range: bytes 0-1/2', 'Authorization: Bearer x', 'Cookie: a=b', 'Trailer: X-A', 'Connection: X-A', 'Keep-Alive: 1', 'TE: trailers',
  'Upgrade: websocket', 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Port: 1', 'X_Forwarded_For: 192.0.2.1', 'Forwarded: for=192.0.2.1', 'Via: 1.1 x', 'X-Request-Id: x', 'X-Real-IP: 192.0.2.1', 'Expect: 100-continue',
  'Proxy-Authorization: Basic x', 'Set-Cookie: a=b', 'Range: bytes=0-1', 'Max-Forwards: 1', 'Cache-Control: no-cache', 'X-Pipes-Token: pipes_x',
];

const arrival = { line: 'POST /a', fields: [HOST_FIELD, CHUNKED], body: 'hello' };

/** RFC 9112 section 7.1: chunks, their extensions and trailers. */
export const CHUNKS: readonly HttpCase[] = [
  ...FAULTY.map(([name, body]) => refused(name, post('/a', [CHUNKED], body), { rfc: '9112, 7.1', isBodyFaulty: true })),
  refused('a trailer that is a length', post('/a', [CHUNKED], `5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n`), { rfc: '9110, 6.5.1', isBodyFaulty: true }),
  refused('a trailer that is a coding', post('/a', [CHUNKED], `5\r\nhello\r\n0\r\nTransfer-Encoding: identity\r\n\r\n`), { rfc: '9110, 6.5.1', isBodyFaulty: true }),
  ...FORBIDDEN.map((field) => passes(`a trailer that is dropped: ${field}`, post('/a', [CHUNKED], `5\r\nhello\r\n0\r\nX-A: 1\r\n${field}\r\n\r\n`), { ...arrival, trailers: ['X-A: 1'] }, { rfc: '9110, 6.5.1' })),
  passes('trailers', post('/a', ['Trailer: X-A, x-b', CHUNKED], '5\r\nhello\r\n0\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\n\r\n'), { line: 'POST /a', fields: [HOST_FIELD, 'Trailer: X-A, x-b', CHUNKED], body: 'hello', trailers: ['X-A: 1', 'x-b: 2', 'X-A: 3'] }),
  passes('a Trailer without chunks is dropped', post('/a', ['Trailer: X-A', 'Content-Length: 5'], 'hello'), { line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }),
  passes('several chunks', post('/a', [CHUNKED], `2\r\nhe\r\n3\r\nllo\r\n${LAST_CHUNK}`), arrival),
  passes('a size with zeros before it', post('/a', [CHUNKED], `0000000005\r\nhello\r\n0000\r\n\r\n`), arrival),
  passes('a size in either case', post('/a', [CHUNKED], `a\r\n0123456789\r\nA\r\n0123456789\r\n${LAST_CHUNK}`), { ...arrival, body: '01234567890123456789' }),
  passes('extensions end here', post('/a', [CHUNKED], '5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n'), arrival, { rfc: '9112, 7.1.1' }),
  passes('an extension that reads like a request', post('/a', [CHUNKED], '5;GET=hidden;Host=x\r\nhello\r\n0\r\n\r\n'), arrival, { rfc: '9112, 7.1.1' }),
  passes('a chunk that reads like an end', post('/a', [CHUNKED], `5\r\n0\r\n\r\n\r\n${LAST_CHUNK}`), { ...arrival, body: '0\r\n\r\n' }),
  passes('no chunk', post('/a', [CHUNKED], LAST_CHUNK), { ...arrival, body: '' }),
  passes('a trailer with high bytes', post('/a', [CHUNKED], '5\r\nhello\r\n0\r\nX-A: caf\xe9\r\n\r\n'), { ...arrival, trailers: ['X-A: caf\xe9'] }),
  { name: 'two chunked requests and a plain one', sends: post('/a', [CHUNKED], `5\r\nhello\r\n${LAST_CHUNK}`) + post('/b', [CHUNKED], `3\r\nyou\r\n${LAST_CHUNK}`) + get('/c'), gets: ['POST /a', 'POST /b', 'GET /c'].map((line) => ({ status: 200, body: line })), arrives: [arrival, { ...arrival, line: 'POST /b', body: 'you' }, { line: 'GET /c' }] },
];
