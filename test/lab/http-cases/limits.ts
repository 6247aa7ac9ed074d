import { echoed, get, HOST_FIELD, passes, post, refused, type HttpCase } from './http-case.ts';

const CHUNKED = 'Transfer-Encoding: chunked';
const posted = (line: string, body: string): { line: string; fields: string[]; body: string } => ({ line, fields: [HOST_FIELD, `Content-Length: ${body.length}`], body });
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `X-${index}: ${index}`);

/** How much there may be of it, and for how long it may take to come. */
export const LIMITS: readonly HttpCase[] = [
  passes('1000 fields', get('/a', ...many(900)), { line: 'GET /a', fields: [HOST_FIELD, ...many(900)] }),
  passes('1100 short fields all go on: none is dropped', get('/a', ...Array<string>(1100).fill('a: b')), { line: 'GET /a', fields: [HOST_FIELD, ...Array<string>(1100).fill('a: b')] }),
  passes('a length as the 1101st field frames its body', post('/a', [...Array<string>(1100).fill('a: b'), 'Content-Length: 5'], 'hello'), { line: 'POST /a', fields: [HOST_FIELD, ...Array<string>(1100).fill('a: b'), 'Content-Length: 5'], body: 'hello' }),
  passes('a coding as the 1101st field frames its body', post('/a', [...Array<string>(1100).fill('a: b'), CHUNKED], '5\r\nhello\r\n0\r\n\r\n'), { line: 'POST /a', fields: [HOST_FIELD, ...Array<string>(1100).fill('a: b'), CHUNKED], body: 'hello' }),
  passes('a Connection as the 1101st field names a field', get('/a', ...Array<string>(1100).fill('a: b'), 'Connection: X-A', 'X-A: 1'), { line: 'GET /a', fields: [HOST_FIELD, ...Array<string>(1100).fill('a: b')] }),
  refused('a second Host as the 1101st field', get('/a', ...Array<string>(1100).fill('a: b'), 'Host: other.bob.localhost')),
  refused('a second coding as the 1101st field', post('/a', [CHUNKED, ...Array<string>(1100).fill('a: b'), 'Transfer-Encoding: gzip'], '0\r\n\r\n')),
  refused('10,000 fields', get('/a', ...many(10_000)), { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('a field of 17 KB', get('/a', `X-A: ${'x'.repeat(17_000)}`), { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('fields of 17 KB together', get('/a', ...Array<string>(17).fill(`X-A: ${'x'.repeat(1000)}`)), { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('a name of 17 KB', get('/a', `${'x'.repeat(17_000)}: 1`), { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('a target of 17 KB', get(`/${'a'.repeat(17_000)}`), { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('a field that never ends', `GET /a HTTP/1.1\r\nX-A: ${'x'.repeat(100_000)}`, { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('a target that never ends', `GET /${'a'.repeat(100_000)}`, { status: 431, code: 'headers_too_large', rfc: '6585, 5' }),
  refused('a method that never ends', 'A'.repeat(20_000)),
  passes('15 KB of fields', get('/a', `X-A: ${'x'.repeat(15_000)}`), { line: 'GET /a', fields: [HOST_FIELD, `X-A: ${'x'.repeat(15_000)}`] }),
  passes('a body of 1 MB', post('/a', ['Content-Length: 1000000'], 'x'.repeat(1_000_000)), posted('POST /a', 'x'.repeat(1_000_000))),
  refused('trailers of 40 KB', post('/a', [CHUNKED], `5\r\nhello\r\n0\r\n${many(4_000).join('\r\n')}\r\n\r\n`), { status: 431, code: 'headers_too_large', isBodyFaulty: true }),

  { name: 'a head that does not come to its end', sends: `GET /a HTTP/1.1\r\n${HOST_FIELD}\r\n`, gets: [{ status: 408, code: 'request_timeout' }], ends: 'closed', arrives: [], isWholeOnly: true, lane: { headerTimeoutMs: 500 }, rfc: '9110, 15.5.9' },
  { name: 'half a request line', sends: 'GET /a', gets: [{ status: 408, code: 'request_timeout' }], ends: 'closed', arrives: [], isWholeOnly: true, lane: { headerTimeoutMs: 500 }, rfc: '9110, 15.5.9' },
  { name: 'a good one, then a head that does not come to its end', sends: `${get('/a')}GET /b HTTP/1.1\r\n`, gets: [echoed('GET /a'), { status: 408, code: 'request_timeout' }], ends: 'closed', arrives: [{ line: 'GET /a' }], isWholeOnly: true, lane: { headerTimeoutMs: 500 }, rfc: '9110, 15.5.9' },
  { name: 'a body that does not come to its end', sends: post('/a', ['Content-Length: 10'], 'hello'), gets: [{ status: 408, code: 'request_timeout' }], ends: 'closed', arrives: [], isBodyFaulty: true, isWholeOnly: true, lane: { bodyIdleTimeoutMs: 500 }, rfc: '9110, 15.5.9' },
  { name: 'chunks that do not come to their end', sends: post('/a', [CHUNKED], '5\r\nhel'), gets: [{ status: 408, code: 'request_timeout' }], ends: 'closed', arrives: [], isBodyFaulty: true, isWholeOnly: true, lane: { bodyIdleTimeoutMs: 500 }, rfc: '9110, 15.5.9' },
  { name: 'chunks without the last one', sends: post('/a', [CHUNKED], '5\r\nhello\r\n'), gets: [{ status: 408, code: 'request_timeout' }], ends: 'closed', arrives: [], isBodyFaulty: true, isWholeOnly: true, lane: { bodyIdleTimeoutMs: 500 }, rfc: '9110, 15.5.9' },
  { name: 'an app that does not answer', sends: get('/a'), answers: { '/a': '' }, gets: [{ status: 504, code: 'upstream_timeout' }], arrives: [{ line: 'GET /a' }], isWholeOnly: true, lane: { upstreamTimeoutMs: 500 } },
  { name: 'an app that answers half a head', sends: get('/a'), answers: { '/a': 'HTTP/1.1 200 OK\r\nX-A: 1\r\n' }, gets: [{ status: 504, code: 'upstream_timeout' }], arrives: [{ line: 'GET /a' }], isWholeOnly: true, lane: { upstreamTimeoutMs: 500 } },
];
