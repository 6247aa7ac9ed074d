import { HOST_FIELD, head, passes, refused, type HttpCase } from './http-case.ts';

const posted = (line: string, body: string): { line: string; fields: string[]; body: string } => ({ line, fields: [HOST_FIELD, `Content-Length: ${body.length}`], body });

/** Methods (RFC 9110 section 9). */
export const METHODS: readonly HttpCase[] = [
  ...['GET', 'OPTIONS', 'DELETE', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'M-SEARCH'].map((method) =>
    passes(method, head(`${method} /a HTTP/1.1`, HOST_FIELD), { line: `${method} /a`, ...(/^(?:GET|OPTIONS|DELETE|TRACE)$/.test(method) ? {} : { fields: [HOST_FIELD, 'Content-Length: 0'] }) })),
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'LOCK'].map((method) => passes(`${method} with a body`, head(`${method} /a HTTP/1.1`, HOST_FIELD, 'Content-Length: 5') + 'hello', posted(`${method} /a`, 'hello'))),
  ...['get', 'Get', 'gET', 'GETT', 'GE', 'FOO', 'get\0', 'GET\x7f', 'G\xc9T', '(GET)', 'G=T', 'PRI', 'DESCRIBE', 'SETUP', 'PLAY', 'TEARDOWN', 'GET_PARAMETER', '0', '-'].map((method) => refused(`method ${JSON.stringify(method)}`, head(`${method} /a HTTP/1.1`, HOST_FIELD), { rfc: '9110, 9.1' })),
  refused('CONNECT', head('CONNECT a.example:443 HTTP/1.1', 'Host: a.example:443'), { status: 405, code: 'method_not_allowed', rfc: '9110, 9.3.6' }),
  refused('CONNECT of a host here', head('CONNECT app.alice.localhost:80 HTTP/1.1', HOST_FIELD), { status: 405, code: 'method_not_allowed', rfc: '9110, 9.3.6' }),
  refused('CONNECT of the engine', head('CONNECT 127.0.0.1:2375 HTTP/1.1', HOST_FIELD), { status: 405, code: 'method_not_allowed', rfc: '9110, 9.3.6' }),
  refused('CONNECT with a path', head('CONNECT /a HTTP/1.1', HOST_FIELD), { status: 405, code: 'method_not_allowed' }),
];
