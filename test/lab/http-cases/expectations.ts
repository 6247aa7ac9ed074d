import { get, HOST_FIELD, head, passes, post, refused, type HttpCase } from './http-case.ts';

const WRONG = { status: 400, code: 'invalid_request' } as const;
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const expecting = (value: string): { line: string; fields: string[]; body: string } => ({ line: 'POST /a', fields: [HOST_FIELD, `Expect: ${value}`, 'Content-Length: 5'], body: 'hello' });
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n';

/** `Expect` and interim answers (RFC 9110 sections 10.1.1 and 15.2). */
export const EXPECTATIONS: readonly HttpCase[] = [
  passes('100-continue that the app does not mind', post('/a', ['Expect: 100-continue', 'Content-Length: 5'], 'hello'), expecting('100-continue'), { ends: 'closed' }),
  { name: '100-continue that the app says', sends: post('/a', ['Expect: 100-continue', 'Content-Length: 5'], 'hello'), answers: { '/a': { bytes: CONTINUE + OK, isEarly: true } }, gets: [{ status: 100 }, { status: 200, body: 'ok' }], arrives: [expecting('100-continue')] },
  { name: '100-continue that the app refuses', sends: post('/a', ['Expect: 100-continue', 'Content-Length: 5'], 'hello'), answers: { '/a': { bytes: 'HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n', isEarly: true } }, gets: [{ status: 417 }], ends: 'closed', arrives: [expecting('100-continue')], isWholeOnly: true },
  passes('100-continue in another case', post('/a', ['Expect: 100-CONTINUE', 'Content-Length: 5'], 'hello'), expecting('100-CONTINUE'), { ends: 'closed' }),
  passes('another expectation is the app\'s to judge', post('/a', ['Expect: x', 'Content-Length: 5'], 'hello'), expecting('x')),
  passes('an empty expectation', post('/a', ['Expect:', 'Content-Length: 5'], 'hello'), expecting('')),
  passes('two expectations', post('/a', ['Expect: 100-continue', 'Expect: x', 'Content-Length: 5'], 'hello'), { line: 'POST /a', fields: [HOST_FIELD, 'Expect: 100-continue', 'Expect: x', 'Content-Length: 5'], body: 'hello' }, { ends: 'closed' }),
  passes('an expectation without a body', get('/a', 'Expect: 100-continue'), { line: 'GET /a', fields: [HOST_FIELD, 'Expect: 100-continue'] }, { ends: 'closed' }),
  passes('an expectation and a body of nothing', post('/a', ['Expect: 100-continue', 'Content-Length: 0'], ''), { line: 'POST /a', fields: [HOST_FIELD, 'Expect: 100-continue', 'Content-Length: 0'] }, { ends: 'closed' }),
  refused('an expectation and both framings', post('/a', ['Expect: 100-continue', 'Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n')),
  refused('an expectation without Host', head('POST /a HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5')),
  { name: 'an expectation of which the body is faulty', sends: post('/a', ['Expect: 100-continue', 'Transfer-Encoding: chunked'], 'zz\r\n'), gets: [WRONG], ends: 'closed', arrives: [], isBodyFaulty: true },
  { name: 'an interim answer', sends: get('/a'), answers: { '/a': HINTS + OK }, gets: [{ status: 103, fields: { link: '</a.css>' } }, { status: 200, body: 'ok' }], arrives: [{ line: 'GET /a' }] },
  { name: 'several interim answers', sends: get('/a'), answers: { '/a': `${CONTINUE}HTTP/1.1 102 Processing\r\n\r\n${HINTS}${OK}` }, gets: [{ status: 100 }, { status: 102 }, { status: 103 }, { status: 200, body: 'ok' }], arrives: [{ line: 'GET /a' }] },
  { name: 'an interim answer with fields of its hop', sends: get('/a'), answers: { '/a': `HTTP/1.1 103 Early Hints\r\nConnection: X-B\r\nKeep-Alive: 1\r\nLink: <x>\r\n\r\n${OK}` }, gets: [{ status: 103, fields: { connection: undefined, 'keep-alive': undefined, link: '<x>' } }, { status: 200, body: 'ok' }], arrives: [{ line: 'GET /a' }] },
  { name: 'an interim answer with a length', sends: get('/a'), answers: { '/a': `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: <x>\r\n\r\n${OK}` }, gets: [{ status: 103, fields: { 'content-length': undefined, link: '<x>' } }, { status: 200, body: 'ok' }], arrives: [{ line: 'GET /a' }] },
  { name: 'an interim answer and nothing after it', sends: get('/a'), answers: { '/a': { bytes: HINTS, then: 'close' } }, gets: [{ status: 103 }, { status: 502, code: 'upstream_failed' }], arrives: [{ line: 'GET /a' }] },
];
