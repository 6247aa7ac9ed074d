import { echoed, get, HOST_FIELD, head, passes, post, refused, type HttpCase } from './http-case.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
const ASKS = ['Connection: Upgrade', 'Upgrade: echo'];
const asked = { connection: 'Upgrade', upgrade: 'echo' };

/** Upgrades, and what pretends to be one (RFC 9110 section 7.8). */
export const UPGRADES: readonly HttpCase[] = [
  { name: 'an upgrade that is taken', sends: get('/a', ...ASKS), answers: { '/a': `${SWITCH}hello` }, gets: [{ status: 101, body: 'hello', fields: { connection: 'Upgrade', upgrade: 'echo' } }], ends: 'switched', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'bytes after the upgrade go through as they are', sends: `${get('/a', ...ASKS)}anything \0\r\n\r\n`, answers: { '/a': SWITCH }, gets: [{ status: 101 }], ends: 'switched', arrives: [{ line: 'GET /a', added: asked, body: 'anything \0\r\n\r\n' }], isWholeOnly: true },
  { name: 'a 101 with a length', rfc: '9110, 8.6', sends: get('/a', ...ASKS), answers: { '/a': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\n' }, gets: [{ status: 101, fields: { 'content-length': undefined } }], ends: 'switched', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'a WebSocket', sends: get('/a', 'Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'), answers: { '/a': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n' }, gets: [{ status: 101, fields: { upgrade: 'websocket', 'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' } }], ends: 'switched', arrives: [{ line: 'GET /a', fields: [HOST_FIELD, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'], added: { connection: 'Upgrade', upgrade: 'websocket' } }] },
  { name: 'an upgrade that is refused', sends: get('/a', ...ASKS), answers: { '/a': 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno' }, gets: [{ status: 403, body: 'no' }], ends: 'closed', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'an upgrade that is answered 200, and a hidden request behind it', sends: get('/a', ...ASKS) + get('/hidden'), answers: { '/a': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' }, gets: [{ status: 200, body: 'ok' }], ends: 'closed', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'an upgrade that is refused, and a request behind it that is dropped', sends: get('/a', ...ASKS) + get('/hidden'), answers: { '/a': 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n' }, gets: [{ status: 426, fields: { upgrade: 'other' } }], ends: 'closed', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'an upgrade that is answered with chunks', sends: get('/a', ...ASKS), answers: { '/a': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n' }, gets: [{ status: 200, body: 'ok' }], ends: 'closed', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'an upgrade that is answered with two framings', sends: get('/a', ...ASKS), answers: { '/a': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n' }, gets: [{ status: 502, code: 'upstream_failed' }], ends: 'closed', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'an upgrade that is not answered', sends: get('/a', ...ASKS), answers: { '/a': { bytes: '', then: 'close' } }, gets: [{ status: 502, code: 'upstream_failed' }], ends: 'closed', arrives: [{ line: 'GET /a', added: asked }] },
  passes('Upgrade without Connection is dropped', get('/a', 'Upgrade: websocket'), { line: 'GET /a' }, { rfc: '9110, 7.8' }),
  passes('Connection: Upgrade without Upgrade', get('/a', 'Connection: Upgrade'), { line: 'GET /a' }, { rfc: '9110, 7.8' }),
  passes('h2c is an ordinary request', get('/a', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'), { line: 'GET /a' }, { rfc: '9113, 3.1' }),
  passes('h2c in another case', get('/a', 'Connection: upgrade', 'Upgrade: H2C'), { line: 'GET /a' }, { rfc: '9113, 3.1' }),
  passes('h2c among others', get('/a', 'Connection: upgrade', 'Upgrade: websocket, h2c'), { line: 'GET /a' }, { rfc: '9113, 3.1' }),
  passes('h2c in a second field', get('/a', 'Connection: upgrade', 'Upgrade: websocket', 'Upgrade: h2c'), { line: 'GET /a' }, { rfc: '9113, 3.1' }),
  { name: 'h2c, and a request behind it that is served as what it is', rfc: '9113, 3.1', sends: get('/a', 'Connection: Upgrade', 'Upgrade: h2c') + get('/b'), gets: [echoed('GET /a'), echoed('GET /b')], arrives: [{ line: 'GET /a' }, { line: 'GET /b' }] },
  { name: 'several protocols in several fields go on as one list', sends: get('/a', 'Connection: Upgrade', 'Upgrade: one', 'Upgrade: two'), answers: { '/a': SWITCH }, gets: [{ status: 101 }], ends: 'switched', arrives: [{ line: 'GET /a', added: { connection: 'Upgrade', upgrade: 'one, two' } }] },
  passes('an upgrade with a body is an ordinary request', post('/a', [...ASKS, 'Content-Length: 5'], 'hello'), { line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }),
  passes('a WebSocket with a body is an ordinary request', get('/a', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5') + 'hello', { line: 'GET /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }),
  passes('an upgrade with chunks is an ordinary request', post('/a', [...ASKS, 'Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'), { line: 'POST /a', fields: [HOST_FIELD, 'Transfer-Encoding: chunked'], body: 'hello' }),
  refused('an upgrade with both framings', post('/a', [...ASKS, 'Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n')),
  refused('an upgrade with another coding', post('/a', [...ASKS, 'Transfer-Encoding: gzip'], 'hello')),
  refused('an upgrade without Host', head('GET /a HTTP/1.1', ...ASKS)),
  refused('an upgrade with two Hosts', get('/a', ...ASKS, HOST_FIELD)),
  refused('an upgrade with a fragment', get('/a#b', ...ASKS)),
  refused('an upgrade in HTTP/2.0', `GET /a HTTP/2.0\r\n${HOST_FIELD}\r\n${ASKS.join('\r\n')}\r\n\r\n`),
  { name: 'an upgrade whose protocols are no list', sends: get('/a', 'Connection: Upgrade', 'Upgrade: ,;"\\,'), answers: { '/a': 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n' }, gets: [{ status: 400 }], ends: 'closed', arrives: [{ line: 'GET /a', added: { connection: 'Upgrade', upgrade: ',;"\\,' } }] },
  { name: 'Connection names a field of an upgrade', sends: get('/a', 'Connection: Upgrade, X-A', 'Upgrade: echo', 'X-A: 1', 'X-Forwarded-For: 192.0.2.1'), answers: { '/a': SWITCH }, gets: [{ status: 101 }], ends: 'switched', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'an expectation of an upgrade', sends: get('/a', ...ASKS, 'Expect: 100-continue'), answers: { '/a': SWITCH }, gets: [{ status: 101 }], ends: 'switched', arrives: [{ line: 'GET /a', added: asked }] },
  { name: 'a 101 that nobody asked for', rfc: '9110, 15.2.2', sends: get('/a'), answers: { '/a': `${SWITCH}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n` }, gets: [{ status: 502, code: 'upstream_failed' }], arrives: [{ line: 'GET /a' }] },
  { name: 'a 101 to a POST', rfc: '9110, 15.2.2', sends: post('/a', ['Content-Length: 5'], 'hello'), answers: { '/a': SWITCH }, gets: [{ status: 502, code: 'upstream_failed' }], arrives: [{ line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }] },
  { name: 'a 101 to a request whose Upgrade was dropped', rfc: '9110, 15.2.2', sends: get('/a', 'Upgrade: echo'), answers: { '/a': SWITCH }, gets: [{ status: 502, code: 'upstream_failed' }], arrives: [{ line: 'GET /a' }] },
];
