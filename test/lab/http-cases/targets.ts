import { get, HOST, HOST_FIELD, head, passes, refused, type HttpCase } from './http-case.ts';

const OTHER = 'other.bob.localhost';

/** Hosts that name nothing, or two things (RFC 9112 section 3.2). */
const FAULTY_HOSTS: readonly (readonly [name: string, lines: readonly string[], code?: string])[] = [
  ['no Host', []],
  ['two Hosts', [HOST_FIELD, `Host: ${OTHER}`]],
  ['the same Host twice', [HOST_FIELD, HOST_FIELD]],
  ['two Hosts in another case', [HOST_FIELD, `HOST: ${OTHER}`]],
  ['two Hosts with a field between', [HOST_FIELD, 'X-A: 1', `host: ${OTHER}`]],
  ['a Host and an empty one', [HOST_FIELD, 'Host:']],
  ['an empty Host and one', ['Host:', HOST_FIELD]],
  ['an empty Host', ['Host:'], 'host_malformed'],
  ['a Host of blanks', ['Host: \t '], 'host_malformed'],
  ['a list of hosts', [`Host: ${HOST}, ${OTHER}`], 'host_malformed'],
  ['a comma after the host', [`Host: ${HOST},`], 'host_malformed'],
  ['two hosts with a blank between', [`Host: ${HOST} ${OTHER}`], 'host_malformed'],
  ['user information', [`Host: ${OTHER}@${HOST}`], 'host_malformed'],
  ['user information that reads like a port', [`Host: ${HOST}:80@${OTHER}`], 'host_malformed'],
  ['a path', [`Host: ${HOST}/a`], 'host_malformed'],
  ['a query', [`Host: ${HOST}?a`], 'host_malformed'],
  ['a fragment', [`Host: ${HOST}#a`], 'host_malformed'],
  ['a scheme', [`Host: http://${HOST}`], 'host_malformed'],
  ['a backslash', [`Host: ${HOST}\\${OTHER}`], 'host_malformed'],
  ['percent encoding', ['Host: app%2ealice.localhost'], 'host_malformed'],
  ['a port that is no number', [`Host: ${HOST}:http`], 'host_malformed'],
  ['two ports', [`Host: ${HOST}:80:80`], 'host_malformed'],
  ['a port that is too large', [`Host: ${HOST}:65536`], 'host_malformed'],
  ['a port with a sign', [`Host: ${HOST}:+80`], 'host_malformed'],
  ['two dots', ['Host: app..alice.localhost'], 'host_malformed'],
  ['a dot before it', [`Host: .${HOST}`], 'host_malformed'],
  ['two dots after it', [`Host: ${HOST}..`], 'host_malformed'],
  ['high bytes', ['Host: \xe4pp.alice.localhost'], 'host_malformed'],
  ['quotes', [`Host: "${HOST}"`], 'host_malformed'],
  ['a semicolon, as Forwarded has it', [`Host: ${HOST};for=192.0.2.1`], 'host_malformed'],
  ['a label of 64 characters', [`Host: ${'a'.repeat(64)}.alice.localhost`], 'host_malformed'],
  ['300 characters', [`Host: ${'a.'.repeat(150)}localhost`], 'host_malformed'],
  ['half an IPv6 address', ['Host: [::1'], 'host_malformed'],
  ['an IPv6 address with a zone', ['Host: [fe80::1%25eth0]'], 'host_malformed'],
];

/** Targets that are no path (RFC 9112 section 3.2). */
const FAULTY_TARGETS: readonly (readonly [name: string, target: string, host?: string])[] = [
  ['absolute-form of another host', `http://${OTHER}/a`],
  ['absolute-form of another port', `http://${HOST}:81/a`],
  ['absolute-form of another host, with a userinfo of this one', `http://${HOST}@${OTHER}/a`],
  ['absolute-form with user information', `http://user:password@${HOST}/a`],
  ['absolute-form with https', `https://${HOST}/a`],
  ['absolute-form with another scheme', `ftp://${HOST}/a`],
  ['absolute-form with a file', 'file:///etc/passwd'],
  ['absolute-form without a host', 'http:///a'],
  ['absolute-form with one slash', `http:/${HOST}/a`],
  ['absolute-form with a backslash', `http:\\\\${HOST}\\a`],
  ['absolute-form with a fragment', `http://${HOST}/a#b`],
  ['absolute-form with an empty path and a fragment', `http://${HOST}#b`],
  ['absolute-form with a blank host', 'http:// /a'],
  ['a path without a slash', 'a'],
  ['a relative path', '../a'],
  ['a query only', '?a=b'],
  ['authority-form', `${HOST}:80`],
  ['an asterisk for GET', '*'],
  ['an asterisk and more', '*/a'],
  ['a fragment', '/a#b'],
  ['a fragment that hides a path', '/#/../__proxyapi/container'],
  ['a fragment in a query', '/a?b#c'],
  ['a fragment only', '#a'],
];

/** Targets that go on as they came: what they mean is the app's. */
const PATHS: readonly string[] = [
  '/', '//', '//other.example/a', '/a/../b', '/a/./b', '/..', '/%2e%2e/a', '/a%00b', '/a%0d%0aX-Injected:%201', '/a%20b', '/a%2fb', '/%5f_proxyapi/container', '//__proxyapi/container', '/./__proxyapi/container', '/__proxyapi%2fcontainer',
  '/a?b=c&d=%0d%0a', '/a??b', '/a?', '/a;b=c', '/a\\b', '/a|b', '/a{b}', '/a"b', "/a'b", '/a<b>', '/a^b`c', '/a:b@c', '/http://other.example/', '/@other.example', '/*', '/a*', `/${'a'.repeat(8000)}`,
];

export const TARGETS: readonly HttpCase[] = [
  ...FAULTY_HOSTS.map(([name, lines, code]) => refused(`Host: ${name}`, head('GET /a HTTP/1.1', ...lines), { rfc: '9112, 3.2', ...(code ? { code } : {}) })),
  ...FAULTY_TARGETS.map(([name, target]) => refused(`target: ${name}`, get(target), { rfc: '9112, 3.2' })),
  ...PATHS.map((path) => passes(`target: ${path.slice(0, 60)}`, get(path), { line: `GET ${path}` })),
  passes('absolute-form of the same host', get(`http://${HOST}/a?b`), { line: 'GET /a?b' }, { rfc: '9112, 3.2.2' }),
  passes('absolute-form of the same host in another case', get(`HTTP://${HOST.toUpperCase()}/a`), { line: 'GET /a' }, { rfc: '9112, 3.2.2' }),
  passes('absolute-form without a path', get(`http://${HOST}`), { line: 'GET /' }, { rfc: '9112, 3.2.2' }),
  passes('absolute-form with a query only', get(`http://${HOST}?a=b`), { line: 'GET /?a=b' }, { rfc: '9112, 3.2.2' }),
  passes('absolute-form with a path that is one', get(`http://${HOST}/http://${OTHER}/`), { line: `GET /http://${OTHER}/` }, { rfc: '9112, 3.2.2' }),
  passes('an asterisk for OPTIONS', head('OPTIONS * HTTP/1.1', HOST_FIELD), { line: 'OPTIONS *' }, { rfc: '9112, 3.2.4' }),
  passes('OPTIONS of a path', head('OPTIONS /a HTTP/1.1', HOST_FIELD), { line: 'OPTIONS /a' }),
  ...([['a port', `${HOST}:8080`], ['an empty port', `${HOST}:`], ['a dot after it', `${HOST}.`], ['another case', HOST.toUpperCase()]] as const).map(([name, host]): HttpCase => ({
    name: `Host: ${name}`,
    rfc: '9112, 3.2',
    sends: head('GET /a HTTP/1.1', `Host: ${host}`),
    gets: [{ status: 200, body: 'GET /a' }],
    arrives: [{ line: 'GET /a', fields: [`Host: ${host}`], added: { 'x-forwarded-host': host, forwarded: `for=127.0.0.1;host=${/:/.test(host) ? `"${host}"` : host};proto=http` } }],
  })),
  { name: 'pipes\' own path is never the app\'s', sends: get('/__proxyapi/container'), gets: [{ status: 200, body: 'pipes itself' }], arrives: [] },
  { name: 'pipes\' own path in absolute-form', sends: get(`http://${HOST}/__proxyapi/container`), gets: [{ status: 200, body: 'pipes itself' }], arrives: [] },
  { name: 'an IP address names nothing', sends: head('GET /a HTTP/1.1', 'Host: 127.0.0.1'), gets: [{ status: 404, code: 'host_unknown' }], arrives: [] },
  { name: 'a host of one label is pipes itself', sends: head('GET /a HTTP/1.1', 'Host: localhost'), gets: [{ status: 200, body: 'pipes itself' }], arrives: [] },
];
