import { get, HOST, HOST_FIELD, head, passes, post, type HttpCase } from './http-case.ts';

/** What a client may say of itself, and no app may believe (RFC 7239 section 8.1). */
const SPOOFS: readonly string[] = [
  'X-Forwarded-For: 192.0.2.1', 'x-forwarded-for: 192.0.2.1', 'X-FORWARDED-FOR: 192.0.2.1, 192.0.2.2', 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 443', 'X-Forwarded-Prefix: /admin',
  'X-Forwarded-Server: evil', 'X-Forwarded-Ssl: on', 'X-Forwarded-Scheme: https', 'X-Forwarded-User: root', 'X-Forwarded-Uri: /', 'X-Forwarded-Anything: 1', 'Forwarded: for=192.0.2.1;host=evil.example', 'forwarded: for="[2001:db8::1]"',
  'Via: 1.1 evil', 'X-Request-Id: chosen', 'X-Real-IP: 192.0.2.1', 'X-Client-IP: 192.0.2.1', 'X-Cluster-Client-Ip: 192.0.2.1', 'True-Client-IP: 192.0.2.1', 'CF-Connecting-IP: 192.0.2.1', 'Fastly-Client-IP: 192.0.2.1',
  'X_Forwarded_For: 192.0.2.1', 'X-Forwarded_For: 192.0.2.1', 'X_Forwarded-Proto: https', 'x_forwarded_host: evil.example', 'X_Real_IP: 192.0.2.1', 'X_Request_Id: chosen', 'X_Forwarded_Anything: 1', 'True_Client_IP: 192.0.2.1',
];

/** What gateways take for a field that frames, routes, logs in or speaks to a hop (RFC 3875 section 4.1.18). */
const TWINS: readonly string[] = ['Content_Length: 5', 'content_Length: 5', 'Transfer_Encoding: chunked', 'Content_Type: text/html', 'Proxy_Connection: close', 'Keep_Alive: 1', 'Proxy_Authorization: Basic x', 'X_Pipes_Token: pipes_x'];

/** What `Connection` may name, and what becomes of the request (RFC 9110 section 7.6.1). */
const NAMED: readonly (readonly [name: string, fields: readonly string[], left: readonly string[]])[] = [
  ['a field of the client', ['Connection: X-A', 'X-A: 1', 'X-B: 2'], ['X-B: 2']],
  ['a field in another case', ['Connection: x-a', 'X-A: 1', 'x-A: 2', 'X-B: 2'], ['X-B: 2']],
  ['several fields', ['Connection: X-A, X-B', 'X-A: 1', 'X-B: 2', 'X-C: 3'], ['X-C: 3']],
  ['several fields in several fields', ['Connection: X-A', 'X-A: 1', 'X-B: 2', 'connection: X-B'], []],
  ['a field that comes later', ['X-A: 1', 'Connection: X-A'], []],
  ['a field that is not there', ['Connection: X-A', 'X-B: 2'], ['X-B: 2']],
  ['nothing', ['Connection:', 'X-A: 1'], ['X-A: 1']],
  ['commas only', ['Connection: ,,', 'X-A: 1'], ['X-A: 1']],
  ['nothing between commas', ['Connection: ,X-A,,', 'X-A: 1', 'X-B: 2'], ['X-B: 2']],
  ['Host, which stays', ['Connection: Host', 'X-A: 1'], ['X-A: 1']],
  ['Content-Length, which stays', ['Connection: Content-Length', 'Content-Length: 0'], ['Content-Length: 0']],
  ['Authorization', ['Connection: Authorization', 'Authorization: Basic eDp5'], []],
  ['Cookie', ['Connection: Cookie', 'Cookie: a=b'], []],
  ['itself', ['Connection: Connection', 'X-A: 1'], ['X-A: 1']],
  ['something that is no name', ['Connection: "X-A", X A', 'X-A: 1'], ['X-A: 1']],
  ['keep-alive and its field', ['Connection: keep-alive, Keep-Alive', 'Keep-Alive: timeout=5', 'X-A: 1'], ['X-A: 1']],
  ['a field of Node\'s object', ['Connection: __proto__, constructor', 'X-A: 1'], ['X-A: 1']],
];

const HOP: readonly string[] = ['Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic x', 'Proxy-Authenticate: Basic', 'Proxy-Authentication-Info: x', 'TE: gzip', 'Upgrade: websocket', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];

const trusting = { lane: { isTrusting: true } } as const;
const believed = (name: string, fields: readonly string[], added: Record<string, string>, left: readonly string[] = []): HttpCase =>
  passes(`from a trusted proxy: ${name}`, get('/a', ...fields), { line: 'GET /a', fields: [HOST_FIELD, ...left], added }, trusting);

export const FORWARDING_FIELDS: readonly HttpCase[] = [
  ...SPOOFS.map((field) => passes(`spoofed: ${field}`, get('/a', field, 'X-A: 1'), { line: 'GET /a', fields: [HOST_FIELD, 'X-A: 1'] }, { rfc: '7239, 8.1' })),
  passes('spoofed: all at once, and twice', get('/a', ...SPOOFS, ...SPOOFS), { line: 'GET /a' }, { rfc: '7239, 8.1' }),
  ...TWINS.map((field) => passes(`a twin: ${field}`, get('/a', field, 'X-A: 1'), { line: 'GET /a', fields: [HOST_FIELD, 'X-A: 1'] }, { rfc: '3875, 4.1.18' })),
  passes('a twin beside the real one', post('/a', ['Content_Length: 2', 'Content-Length: 5'], 'hello'), { line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }, { rfc: '3875, 4.1.18' }),
  ...NAMED.map(([name, fields, left]) => passes(`Connection names ${name}`, get('/a', ...fields), { line: 'GET /a', fields: [HOST_FIELD, ...left] }, { rfc: '9110, 7.6.1' })),
  ...['X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'Via', 'X-Request-Id'].map((name) => passes(`Connection names ${name}, which pipes adds all the same`, get('/a', `Connection: ${name}`), { line: 'GET /a' }, { rfc: '9110, 7.6.1' })),
  passes('Connection names Transfer-Encoding, which stays', post('/a', ['Connection: Transfer-Encoding', 'Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'), { line: 'POST /a', fields: [HOST_FIELD, 'Transfer-Encoding: chunked'], body: 'hello' }, { rfc: '9110, 7.6.1' }),
  passes('Connection names Content-Length, which stays with its body', post('/a', ['Connection: Content-Length', 'Content-Length: 5'], 'hello'), { line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello' }, { rfc: '9110, 7.6.1' }),
  ...HOP.map((field) => passes(`a field of this hop: ${field}`, get('/a', field, 'X-A: 1'), { line: 'GET /a', fields: [HOST_FIELD, ...(field.startsWith('HTTP2') ? [field] : []), 'X-A: 1'] }, { rfc: '9110, 7.6.1' })),
  passes('TE: trailers goes on, and nothing else of it', get('/a', 'Connection: TE', 'TE: gzip, trailers;q=1, trailers'), { line: 'GET /a', added: { te: 'trailers', connection: 'keep-alive, TE' } }, { rfc: '9110, 10.1.4' }),
  passes('Connection: close is of this hop alone', get('/a', 'Connection: close'), { line: 'GET /a' }, { ends: 'closed', rfc: '9112, 9.6' }),
  passes('Connection: close among others', get('/a', 'Connection: X-A, close', 'X-A: 1'), { line: 'GET /a' }, { ends: 'closed', rfc: '9112, 9.6' }),

  passes('injection: a line end in the path stays encoded', get('/a%0d%0aX-Injected:%201'), { line: 'GET /a%0d%0aX-Injected:%201' }),
  passes('injection: quotes in a spoofed Forwarded end nothing', get('/a', 'Forwarded: for="x\\";for=evil'), { line: 'GET /a' }),
  passes('injection: a request id with a line end, encoded', get('/a', 'X-Request-Id: a%0d%0aX-Injected: 1'), { line: 'GET /a' }),

  believed('X-Forwarded-For is appended to', ['X-Forwarded-For: 192.0.2.1'], { 'x-forwarded-for': '192.0.2.1, 127.0.0.1' }),
  believed('several X-Forwarded-For become one', ['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 192.0.2.2'], { 'x-forwarded-for': '192.0.2.1, 192.0.2.2, 127.0.0.1' }),
  believed('an empty X-Forwarded-For', ['X-Forwarded-For:'], { 'x-forwarded-for': '127.0.0.1' }),
  believed('X-Forwarded-Host and -Proto stand', ['X-Forwarded-Host: www.example', 'X-Forwarded-Proto: https'], { 'x-forwarded-host': 'www.example', 'x-forwarded-proto': 'https' }),
  believed('Forwarded and Via are appended to', ['Forwarded: for=192.0.2.1', 'Via: 1.1 front'], { forwarded: `for=192.0.2.1, for=127.0.0.1;host=${HOST};proto=http`, via: '1.1 front, 1.1 pipes' }),
  believed('X-Request-Id stands', ['X-Request-Id: abc-123'], { 'x-request-id': 'abc-123' }),
  believed('an X-Request-Id that no log could carry is replaced', ['X-Request-Id: a b"c'], {}),
  believed('two X-Request-Ids are replaced', ['X-Request-Id: a', 'X-Request-Id: b'], {}),
  believed('the rest of X-Forwarded-* and X-Real-IP stand', ['X-Forwarded-Port: 443', 'X-Real-IP: 192.0.2.1'], {}, ['X-Forwarded-Port: 443', 'X-Real-IP: 192.0.2.1']),
  believed('twins are dropped all the same', ['X_Forwarded_For: 192.0.2.1', 'X_Real_IP: 192.0.2.1', 'Content_Length: 5'], {}),
  believed('what Connection names away is not what pipes vouches for', ['Connection: X-Forwarded-For, Forwarded, Via', 'X-Forwarded-For: 192.0.2.1'], { 'x-forwarded-for': '192.0.2.1, 127.0.0.1' }),
  passes('a HEAD', head('HEAD /a HTTP/1.1', HOST_FIELD, 'X-Forwarded-For: 1'), { line: 'HEAD /a' }, { gets: [{ status: 200, isToHead: true }] }),
];
