/**
 * An app that behaves as badly as a test needs. No dependencies; Node's own modules only. It runs in the image `mimic`, and as a plain child process
 * for tests of the forwarder (`node mimic.mjs`; with PORT=0 its first line tells the port).
 *
 * Environment
 *   PORT             where it listens (80); `none`: never. HOST: on which address (all)
 *   LISTEN_AFTER_MS  waits so long before it listens
 *   READY_AFTER_MS   `/ready` answers 503 until so long after it began to listen
 *   PRINT_LINES      prints so many lines at start (`line 1` …), to both streams by turns
 *   EXIT_AFTER_MS    exits by itself with EXIT_CODE (0). EXIT_BEFORE_LISTENING=1 does it at once, after the lines
 *   IGNORE_SIGTERM   1: SIGTERM does nothing. TERM_DELAY_MS: exits so long after it
 *   VERSION          told by /whoami
 *
 * Paths
 *   /                   "mimic VERSION"
 *   /whoami             {hostname, pid, version, startedAt, requests}
 *   /echo               {method, url, httpVersion, headers, rawHeaders, trailers, body, bodyBase64} of the request
 *   /status/:code       that status; 204 and 304 without a body. ?body=text, ?header=Name:value (repeatable)
 *   /slow?ms=           waits before it answers. /trickle?ms=&times=: one line every ms
 *   /stream?bytes=      so many bytes: the byte at n is n % 251. &chunked=1: without content-length. &sha256=1: a trailer with the digest
 *   /sink               reads the body, answers {bytes, sha256}; ?ms= waits before reading
 *   /early?status=      answers at once without reading the body; &close=1 closes the connection after
 *   /events?count=&ms=  Server-Sent Events, one every ms; without count for ever
 *   /hang               never answers. /hang-mid?bytes= sends so many bytes, then nothing
 *   /die?after=         promises 1 MiB, sends `after` bytes, cuts the connection; &exit=1 ends the process too; &chunked=1
 *   /reset              resets the connection without an answer. /exit?code= ends the process. /deaf stops listening and lives on
 *   /trailers           a chunked answer with trailers. /informational: 103 first, then 200. /big-headers?bytes=
 *   /chunked?parts=     so many chunks of one line each
 *   /ready              200, or 503 as READY_AFTER_MS says
 *   /aborts             {aborts}: how many requests their client left before the answer was done. /open: {open}
 * Upgrades
 *   websocket           echoes messages (fragmented ones whole), answers ping and close. ?greet=text sends it first; ?refuse=code refuses;
 *                       ?die=1 cuts the connection after the first message
 *   anything else       101, then every byte back
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { echoWebSocket } from './websocket-echo.mjs';

const env = process.env;
const startedAtMs = Date.now();
const counts = { requests: 0, aborts: 0, open: 0 };
let listeningSinceMs = Infinity;
/** See `pattern`. */
let repeated;

process.on('SIGTERM', () => {
  if (env.IGNORE_SIGTERM === '1') return;
  setTimeout(() => process.exit(0), Number(env.TERM_DELAY_MS ?? 0));
});
process.on('SIGINT', () => process.exit(0));
for (let line = 1; line <= Number(env.PRINT_LINES ?? 0); line += 1) (line % 2 === 1 ? process.stdout : process.stderr).write(`line ${line}\n`);
if (env.EXIT_BEFORE_LISTENING === '1') process.exit(Number(env.EXIT_CODE ?? 0));
if (env.EXIT_AFTER_MS !== undefined) setTimeout(() => process.exit(Number(env.EXIT_CODE ?? 0)), Number(env.EXIT_AFTER_MS));

const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: Number(env.KEEP_ALIVE_MS ?? 65_000), maxHeaderSize: 1024 * 1024 }, (request, response) => {
  counts.requests += 1;
  counts.open += 1;
  request.on('error', () => {});
  response.on('error', () => {});
  response.on('close', () => {
    counts.open -= 1;
    if (!response.writableFinished) counts.aborts += 1;
  });
  const url = new URL(request.url, 'http://mimic');
  const [first, second] = url.pathname.slice(1).split('/');
  const answer = answers[first] ?? notFound;
  answer({ request, response, query: url.searchParams, argument: second });
});

server.on('upgrade', (request, socket, head) => {
  const query = new URL(request.url, 'http://mimic').searchParams;
  counts.requests += 1;
  socket.on('error', () => {});
  if (query.has('refuse')) {
    socket.end(`HTTP/1.1 ${query.get('refuse')} Refused\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nrefused`);
  } else if (String(request.headers.upgrade).toLowerCase() === 'websocket') {
    echoWebSocket(request, socket, head, { greet: query.get('greet'), dieAfterFirst: query.get('die') === '1' });
  } else {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`);
    socket.write(head);
    socket.pipe(socket);
  }
});

if (env.PORT === 'none') setInterval(() => {}, 60_000);
else setTimeout(listen, Number(env.LISTEN_AFTER_MS ?? 0));

function listen() {
  server.listen(Number(env.PORT ?? 80), env.HOST, () => {
    listeningSinceMs = Date.now();
    process.stdout.write(`listening on ${server.address().port}\n`);
  });
}

const answers = {
  '': ({ response }) => text(response, 200, `mimic ${env.VERSION ?? '0'}\n`),
  whoami: ({ response }) => json(response, { hostname: hostname(), pid: process.pid, version: env.VERSION ?? '0', startedAt: new Date(startedAtMs).toISOString(), requests: counts.requests }),
  async echo({ request, response }) {
    const body = await readAll(request);
    if (body === undefined) return;
    const { method, url, httpVersion, headers, rawHeaders, trailers } = request;
    json(response, { method, url, httpVersion, headers, rawHeaders, trailers, body: body.toString(), bodyBase64: body.toString('base64') });
  },
  status({ response, query, argument }) {
    const code = Number(argument);
    for (const header of query.getAll('header')) {
      const colon = header.indexOf(':');
      response.appendHeader(header.slice(0, colon), header.slice(colon + 1));
    }
    if (code === 204 || code === 304) response.writeHead(code).end();
    else text(response, code, query.get('body') ?? `status ${code}\n`);
  },
  slow: ({ response, query }) => void setTimeout(() => text(response, 200, 'slow\n'), number(query, 'ms', 1000)),
  trickle({ response, query }) {
    const times = number(query, 'times', 10);
    response.writeHead(200, { 'content-type': 'text/plain' });
    every(response, number(query, 'ms', 100), times, (index) => `line ${index}\n`);
  },
  stream({ response, query }) {
    const bytes = number(query, 'bytes', 1024);
    const withDigest = query.get('sha256') === '1';
    const headers = { 'content-type': 'application/octet-stream' };
    if (withDigest) headers.trailer = 'x-sha256';
    if (query.get('chunked') !== '1' && !withDigest) headers['content-length'] = bytes;
    response.writeHead(200, headers);
    streamPattern(response, bytes, withDigest);
  },
  async sink({ request, response, query }) {
    await new Promise((resolve) => setTimeout(resolve, number(query, 'ms', 0)));
    const hash = createHash('sha256');
    let bytes = 0;
    request.on('data', (chunk) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    request.on('end', () => json(response, { bytes, sha256: hash.digest('hex') }));
  },
  early({ response, query }) {
    if (query.get('close') === '1') response.setHeader('connection', 'close');
    text(response, number(query, 'status', 413), 'early\n');
  },
  events({ response, query }) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    every(response, number(query, 'ms', 100), number(query, 'count', Infinity), (index) => `id: ${index}\ndata: event ${index}\n\n`);
  },
  hang() {},
  'hang-mid'({ response, query }) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': 1024 * 1024 });
    response.write(pattern(0, number(query, 'bytes', 1)));
  },
  die({ request, response, query }) {
    response.writeHead(200, query.get('chunked') === '1' ? {} : { 'content-length': 1024 * 1024 });
    response.write(pattern(0, number(query, 'after', 1)), () => {
      request.socket.destroy();
      if (query.get('exit') === '1') process.exit(1);
    });
  },
  reset: ({ request }) => request.socket.resetAndDestroy(),
  exit: ({ query }) => process.exit(number(query, 'code', 1)),
  deaf({ response }) {
    response.setHeader('connection', 'close');
    // Once the answer is out: whoever has it can count on it.
    server.close();
    server.closeIdleConnections();
    setInterval(() => {}, 60_000);
    text(response, 200, 'deaf\n');
  },
  trailers({ response }) {
    response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-checksum, x-second' });
    response.write('body\n');
    response.addTrailers({ 'x-checksum': 'abc', 'x-second': 'two' });
    response.end();
  },
  informational({ response }) {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    text(response, 200, 'after hints\n');
  },
  'big-headers'({ response, query }) {
    response.setHeader('x-big', 'b'.repeat(number(query, 'bytes', 8000)));
    text(response, 200, 'big\n');
  },
  chunked({ response, query }) {
    const parts = number(query, 'parts', 3);
    for (let part = 0; part < parts; part += 1) response.write(`part ${part}\n`);
    response.end();
  },
  ready({ response }) {
    const ready = Date.now() - listeningSinceMs >= Number(env.READY_AFTER_MS ?? 0);
    text(response, ready ? 200 : 503, ready ? 'ready\n' : 'not ready\n');
  },
  aborts: ({ response }) => json(response, { aborts: counts.aborts }),
  open: ({ response }) => json(response, { open: counts.open - 1 }),
};

function notFound({ response }) {
  text(response, 404, 'mimic has no such path\n');
}

function text(response, status, body) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function json(response, value) {
  const body = JSON.stringify(value);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function number(query, name, otherwise) {
  return query.has(name) ? Number(query.get(name)) : otherwise;
}

/** The whole body; undefined when the client left before its end. */
async function readAll(request) {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

function every(response, ms, times, line) {
  let index = 0;
  const timer = setInterval(() => {
    response.write(line(index));
    index += 1;
    if (index >= times) response.end();
  }, ms);
  response.on('close', () => clearInterval(timer));
}

/** The byte at n is n % 251: a prime, so that no lost or doubled block goes unseen. Cut from one buffer that is made once. */
function pattern(offset, bytes) {
  repeated ??= Buffer.from(Uint8Array.from({ length: 251 * 300 }, (_, index) => index % 251));
  const phase = offset % 251;
  if (bytes <= repeated.length - phase) return repeated.subarray(phase, phase + bytes);
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (offset + index) % 251));
}

async function streamPattern(response, bytes, withDigest) {
  const hash = createHash('sha256');
  for (let sent = 0; sent < bytes && !response.destroyed; ) {
    const chunk = pattern(sent, Math.min(65_536, bytes - sent));
    if (withDigest) hash.update(chunk);
    sent += chunk.length;
    if (!response.write(chunk)) await writable(response);
  }
  if (withDigest) response.addTrailers({ 'x-sha256': hash.digest('hex') });
  response.end();
}

/** Until it takes more, or is closed. */
function writable(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
