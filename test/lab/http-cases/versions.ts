import { get, HOST_FIELD, passes, refused, type HttpCase } from './http-case.ts';

const CHUNKED = 'Transfer-Encoding: chunked';
const tls = '\x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03' + 'r'.repeat(32) + '\x20' + 's'.repeat(32) + '\x00\x02\x13\x01\x01\x00';

/** Other versions and other protocols on this port (RFC 9112 section 2.3 and appendix C). */
export const VERSIONS: readonly HttpCase[] = [
  passes('HTTP/1.0', `GET /a HTTP/1.0\r\n${HOST_FIELD}\r\n\r\n`, { line: 'GET /a', added: { via: '1.0 pipes' } }, { ends: 'closed' }),
  passes('HTTP/1.0 with keep-alive', `GET /a HTTP/1.0\r\n${HOST_FIELD}\r\nConnection: keep-alive\r\n\r\n`, { line: 'GET /a', added: { via: '1.0 pipes' } }),
  passes('HTTP/1.0 with a body', `POST /a HTTP/1.0\r\n${HOST_FIELD}\r\nContent-Length: 5\r\n\r\nhello`, { line: 'POST /a', fields: [HOST_FIELD, 'Content-Length: 5'], body: 'hello', added: { via: '1.0 pipes' } }, { ends: 'closed' }),
  passes('HTTP/1.0 in absolute-form', `GET http://app.alice.localhost/a HTTP/1.0\r\n${HOST_FIELD}\r\n\r\n`, { line: 'GET /a', added: { via: '1.0 pipes' } }, { ends: 'closed' }),
  passes('HTTP/1.0 gets chunks as a body that ends with the connection', `GET /a HTTP/1.0\r\n${HOST_FIELD}\r\nConnection: keep-alive\r\n\r\n`, { line: 'GET /a', added: { via: '1.0 pipes' } }, { ends: 'closed', answers: { '/a': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n' }, gets: [{ status: 200, body: 'hello', fields: { 'transfer-encoding': undefined } }] }),
  passes('HTTP/1.0 gets no interim answer', `GET /a HTTP/1.0\r\n${HOST_FIELD}\r\n\r\n`, { line: 'GET /a', added: { via: '1.0 pipes' } }, { ends: 'closed', answers: { '/a': 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na' }, gets: [{ status: 200, body: 'a' }], rfc: '9110, 15.2' }),
  passes('HTTP/1.0 with an upgrade stays what it is', `GET /a HTTP/1.0\r\n${HOST_FIELD}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, { line: 'GET /a', added: { via: '1.0 pipes' } }, { ends: 'closed', rfc: '9110, 7.8' }),
  passes('HTTP/1.0 with an expectation', `POST /a HTTP/1.0\r\n${HOST_FIELD}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`, { line: 'POST /a', fields: [HOST_FIELD, 'Expect: 100-continue', 'Content-Length: 5'], body: 'hello', added: { via: '1.0 pipes' } }, { ends: 'closed' }),
  refused('HTTP/1.0 without a Host', 'GET /a HTTP/1.0\r\n\r\n', { rfc: '9112, 3.2' }),
  refused('HTTP/1.0 with two Hosts', `GET /a HTTP/1.0\r\n${HOST_FIELD}\r\n${HOST_FIELD}\r\n\r\n`, { rfc: '9112, 3.2' }),
  refused('HTTP/1.0 with chunks', `POST /a HTTP/1.0\r\n${HOST_FIELD}\r\n${CHUNKED}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, { rfc: '9112, 6.1' }),
  refused('HTTP/1.0 with chunks and keep-alive', `POST /a HTTP/1.0\r\n${HOST_FIELD}\r\nConnection: keep-alive\r\n${CHUNKED}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, { rfc: '9112, 6.1' }),
  refused('HTTP/1.0 with both framings', `POST /a HTTP/1.0\r\n${HOST_FIELD}\r\nContent-Length: 5\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`, { rfc: '9112, 6.1' }),
  ...['HTTP/0.9', 'HTTP/1.2', 'HTTP/1.9', 'HTTP/2', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/0.0', 'HTTP/11', 'HTTP/1', 'HTTP/1.', 'HTTP/.1', 'HTTP/1.10', 'HTTP/01.1', 'HTTP/1.1x', 'HTTP/-1.1', 'HTTP /1.1', 'http/1.1', 'Http/1.1', 'HTTPS/1.1', 'XTTP/1.1', 'HTTP/1,1', 'HTTP1.1', 'HTTP\\1.1'].map((version) =>
    refused(`version ${version}`, `GET /a ${version}\r\n${HOST_FIELD}\r\n\r\n`, { rfc: '9112, 2.3' })),
  refused('no version (HTTP/0.9)', 'GET /a\r\n\r\n', { rfc: '9112, 3' }),
  refused('no version, but fields', `GET /a\r\n${HOST_FIELD}\r\n\r\n`, { rfc: '9112, 3' }),
  refused('the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0`, { rfc: '9113, 3.4' }),
  refused('a TLS hello', tls, { rfc: '8446, 4.1.2' }),
  refused('the greeting of SSH', 'SSH-2.0-OpenSSH_9.2\r\n'),
  refused('the PROXY protocol', `PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n${get('/a')}`),
  refused('the PROXY protocol, version 2', `\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c${'\x01'.repeat(12)}${get('/a')}`),
  refused('an answer instead of a request', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
  refused('RTSP', `DESCRIBE rtsp://app.alice.localhost/a RTSP/1.0\r\n${HOST_FIELD}\r\n\r\n`),
  passes('RTSP is read as HTTP/1.0, and goes on as HTTP', `DESCRIBE /a RTSP/1.0\r\n${HOST_FIELD}\r\n\r\n`, { line: 'DESCRIBE /a', fields: [HOST_FIELD, 'Content-Length: 0'], added: { via: '1.0 pipes' } }, { ends: 'closed' }),
  passes('Icecast is read as HTTP/1.0, and goes on as HTTP', `SOURCE /a ICE/1.0\r\n${HOST_FIELD}\r\n\r\n`, { line: 'SOURCE /a', fields: [HOST_FIELD, 'Content-Length: 0'], added: { via: '1.0 pipes' } }, { ends: 'closed' }),
];
