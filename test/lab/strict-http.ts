/**
 * Reads HTTP/1.1 messages from bytes (as latin1 text) as strictly as RFC 9112 lets a reader be: whatever two readers could
 * understand in two ways is refused. It shares no code with Node's parser, so what passes here proves that what was sent is
 * itself unambiguous.
 */
export interface StrictMessage {
  /** As it came: `GET /a HTTP/1.1`, `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  readonly fields: readonly Field[];
  readonly body: string;
  readonly trailers: readonly Field[];
  /** False when the bytes ended in the middle of the body. */
  readonly isWhole: boolean;
  /** Where the next message begins. */
  readonly end: number;
}

export type Field = readonly [name: string, value: string];

/** The bytes are no HTTP/1.1 message, or one that can be understood in two ways. */
export class AmbiguousHttp extends Error {
  constructor(why: string, bytes: string) {
    super(`${why}: ${JSON.stringify(bytes.slice(0, 400))}`);
    this.name = 'AmbiguousHttp';
  }
}

/**
 * The request that begins there; undefined while its head, or its body unless `isOver`, is not all there.
 * @param isOver no further byte will come
 * @throws AmbiguousHttp
 */
export function readRequest(bytes: string, at = 0, isOver = false): StrictMessage | undefined {
  const head = readHead(bytes, at);
  if (head === undefined) return undefined;
  // RFC 9112 section 3; a fragment is never part of a target.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!"$-~\x80-\xff]+ HTTP\/1\.1$/.test(head.startLine)) throw new AmbiguousHttp('no request line', head.startLine);
  const target = head.startLine.split(' ')[1]!;
  if (!target.startsWith('/') && target !== '*') throw new AmbiguousHttp('a target that is no path', head.startLine);
  const hosts = valuesOf(head.fields, 'host');
  if (hosts.length !== 1 || !/^[A-Za-z0-9._-]+(?::\d*)?$/.test(hosts[0]!)) throw new AmbiguousHttp('not one plain Host', bytes.slice(at, head.end));
  assertNoTwins(head.fields);
  const framing = framingOf(head.fields);
  return readBody(bytes, head, framing ?? 0, isOver);
}

/**
 * The answer that begins there; undefined while it is not all there.
 * @param isToHead it answers a HEAD
 * @param isOver no further byte will come: ends a body that no length frames
 * @throws AmbiguousHttp
 */
export function readAnswer(bytes: string, at: number, isToHead: boolean, isOver: boolean): StrictMessage | undefined {
  const head = readHead(bytes, at);
  if (head === undefined) return undefined;
  const status = Number(/^HTTP\/1\.1 ([1-9]\d\d) [\t\x20-\x7e\x80-\xff]*$/.exec(head.startLine)?.[1]);
  if (Number.isNaN(status)) throw new AmbiguousHttp('no status line', head.startLine);
  const framing = framingOf(head.fields);
  if (framing !== undefined && (status === 204 || status < 200)) throw new AmbiguousHttp('a framed answer that has no body', bytes.slice(at, head.end));
  if (isToHead || status === 204 || status === 304 || status < 200) return readBody(bytes, head, 0, isOver);
  return readBody(bytes, head, framing ?? 'until-close', isOver);
}

/** The values of a field, in the order they came. */
export function valuesOf(fields: readonly Field[], lowerCaseName: string): string[] {
  return fields.filter(([name]) => name.toLowerCase() === lowerCaseName).map(([, value]) => value);
}

interface Head {
  readonly startLine: string;
  readonly fields: readonly Field[];
  readonly end: number;
}

type Framing = number | 'chunked' | 'until-close';

function readHead(bytes: string, at: number): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n', at);
  if (end < 0) {
    if (/\n\r?\n|\r\r|(?<!\r)\n/.test(bytes.slice(at))) throw new AmbiguousHttp('a line that does not end in CRLF', bytes.slice(at));
    return undefined;
  }
  const [startLine, ...lines] = bytes.slice(at, end).split('\r\n');
  return { startLine: startLine!, fields: lines.map(readField), end: end + 4 };
}

/** RFC 9112 section 5: no blank before the colon, no folded line, no control byte. */
function readField(line: string): Field {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
  if (!match) throw new AmbiguousHttp('no header field', line);
  return [match[1]!, match[2]!.replace(/[ \t]+$/, '')];
}

/** Fields that a gateway like CGI takes for each other, because it knows no `-` (RFC 3875 section 4.1.18). */
function assertNoTwins(fields: readonly Field[]): void {
  const twin = fields.find(([name]) => name.includes('_') && VOUCHED.test(name.replaceAll('_', '-')));
  if (twin) throw new AmbiguousHttp('a field that some take for another one', twin[0]);
}

const VOUCHED = /^(?:host|connection|upgrade|content-length|transfer-encoding|forwarded|via|x-forwarded-.*|x-real-ip|x-request-id)$/i;

/** RFC 9112 section 6.3; undefined when nothing frames a body. */
function framingOf(fields: readonly Field[]): number | 'chunked' | undefined {
  const lengths = valuesOf(fields, 'content-length');
  const codings = valuesOf(fields, 'transfer-encoding');
  const all = JSON.stringify(fields);
  if (lengths.length + codings.length > 1) throw new AmbiguousHttp('framed twice', all);
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new AmbiguousHttp('a transfer coding besides chunked', all);
    return 'chunked';
  }
  if (lengths.length === 0) return undefined;
  // A leading zero makes it octal for some.
  if (!/^(?:0|[1-9]\d{0,14})$/.test(lengths[0]!)) throw new AmbiguousHttp('no plain length', all);
  return Number(lengths[0]);
}

function readBody(bytes: string, head: Head, framing: Framing, isOver: boolean): StrictMessage | undefined {
  const { startLine, fields } = head;
  if (framing === 'chunked') return readChunks(bytes, head, isOver);
  if (framing === 'until-close') return isOver ? { startLine, fields, body: bytes.slice(head.end), trailers: [], isWhole: true, end: bytes.length } : undefined;
  const body = bytes.slice(head.end, head.end + framing);
  const isWhole = body.length === framing;
  return isWhole || isOver ? { startLine, fields, body, trailers: [], isWhole, end: head.end + body.length } : undefined;
}

/** RFC 9112 section 7.1, without extensions: pipes frames anew, and none of another hop may come through. */
function readChunks(bytes: string, head: Head, isOver: boolean): StrictMessage | undefined {
  const { startLine, fields } = head;
  let body = '';
  let at = head.end;
  const unfinished = (rest: string): StrictMessage | undefined => (isOver ? { startLine, fields, body: body + rest, trailers: [], isWhole: false, end: bytes.length } : undefined);
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return unfinished('');
    const line = bytes.slice(at, lineEnd);
    if (!/^[0-9A-Fa-f]{1,12}$/.test(line)) throw new AmbiguousHttp('no chunk size', line);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return unfinished(bytes.slice(at, at + size));
    if (bytes.slice(at + size, at + size + 2) !== '\r\n') throw new AmbiguousHttp('a chunk that does not end in CRLF', bytes.slice(at + size));
    body += bytes.slice(at, at + size);
    at += size + 2;
  }
  const trailers: Field[] = [];
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return unfinished('');
    const line = bytes.slice(at, lineEnd);
    at = lineEnd + 2;
    if (line === '') return { startLine, fields, body, trailers, isWhole: true, end: at };
    const field = readField(line);
    // RFC 9110 section 6.5.1.
    if (/^(?:content-length|transfer-encoding|host|connection|authorization|cookie|set-cookie|te|trailer|upgrade|forwarded|via|x-forwarded-.*)$/i.test(field[0])) throw new AmbiguousHttp('a trailer that frames, routes or authenticates', line);
    trailers.push(field);
  }
}
