/**
 * CPU per forwarded request: pipes' forwarder, http-proxy's `web()` with a keep-alive agent and with its default one, and
 * nginx. One run, alternating, medians; a keep-alive GET with a small answer over loopback. `make bench` runs it
 * (forwarder.bench.ts compiles it first, since Node 20 reads no TypeScript).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { Agent, createServer } from 'node:http';
import { connect, createServer as createNetServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ProxyServer } from 'http-proxy';
import { newForwardStats } from '../src/proxy/forward-context.ts';
import { Forwarder } from '../src/proxy/forwarder.ts';
import { processFacts } from '../test/lab/process-facts.ts';
import { startNginx } from './nginx.ts';
import { table } from './report.ts';
import { printSpread, spreadOf } from './spread.ts';

const ROUNDS = 7;
const REQUESTS = 6000;
const CONNECTIONS = 16;

const REQUEST = 'GET /path/to/page?with=query HTTP/1.1\r\nHost: main.web.alice.localhost:8080\r\nUser-Agent: bench/1.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n\r\n';
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nETag: "abc"\r\nSet-Cookie: a=1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 600\r\n\r\n${'x'.repeat(600)}`;

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

const ROLES: Record<string, (upstreamPort: number) => void> = {
  pipes(port) {
    const forwarder = new Forwarder({ connectTimeoutMs: 5000, upstreamTimeoutMs: Infinity, bodyIdleTimeoutMs: 120_000, trustProxy: () => false, isOwnToken: (value) => value.startsWith('Bearer pipes_') });
    const upstream = { host: '127.0.0.1', port };
    serve((request, response) => void forwarder.request(request, response, upstream, { requestId: 'bench', mayRetry: true, stats: newForwardStats() }));
  },
  'http-proxy-3, keep-alive agent': (port) => serveHttpProxy(port, new Agent({ keepAlive: true })),
  'http-proxy-3, default agent': (port) => serveHttpProxy(port, undefined),
};

const role = process.argv[2];
if (role === undefined) await compare();
else ROLES[role]!(Number(process.argv[3]));

async function compare(): Promise<void> {
  const upstream = createNetServer((socket) => {
    let waiting = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      waiting += chunk.toString('latin1');
      for (let end = waiting.indexOf('\r\n\r\n'); end >= 0; end = waiting.indexOf('\r\n\r\n')) {
        waiting = waiting.slice(end + 4);
        socket.write(ANSWER);
      }
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const upstreamPort = (upstream.address() as AddressInfo).port;
  const contenders = [...(await Promise.all(Object.keys(ROLES).map((name) => ownContender(name, upstreamPort)))), await nginxContender(upstreamPort)];
  const costsUs = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  try {
    for (const contender of contenders) await load(contender.port, 3000);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const contender of contenders) {
        const beforeMs = processFacts(contender.pid).cpuMs;
        const startedMs = performance.now();
        await load(contender.port, REQUESTS);
        rates.get(contender.name)!.push(REQUESTS / ((performance.now() - startedMs) / 1000));
        costsUs.get(contender.name)!.push(((processFacts(contender.pid).cpuMs - beforeMs) * 1000) / REQUESTS);
      }
    }
  } finally {
    await Promise.all(contenders.map((contender) => contender.stop()));
    upstream.close();
  }
  const rows = contenders.map(({ name }) => [name, printSpread(spreadOf(rates.get(name)!), 0), printSpread(spreadOf(costsUs.get(name)!))]);
  console.log(`${ROUNDS} alternating rounds of ${REQUESTS} requests on ${CONNECTIONS} connections.

${table(['median (least–most)', 'requests per second', 'CPU µs per request'], rows)}`);
  process.exit(0);
}

function serve(listener: Parameters<typeof createServer>[1]): void {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
}

function serveHttpProxy(port: number, agent: Agent | undefined): void {
  const proxy = new ProxyServer({ target: { host: '127.0.0.1', port }, xfwd: true, ...(agent ? { agent } : {}) });
  proxy.on('error', () => undefined);
  serve((request, response) => proxy.web(request, response, {}));
}

async function ownContender(name: string, upstreamPort: number): Promise<Contender> {
  const child: ChildProcess = spawn(process.execPath, [fileURLToPath(import.meta.url), name, String(upstreamPort)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<string>((resolve) => createInterface({ input: child.stdout! }).once('line', resolve));
  return { name, port: Number(port), pid: child.pid!, stop: () => Promise.resolve(void child.kill()) };
}

/** Keeps connections to the upstream, adds the same headers, writes no access log. */
async function nginxContender(upstreamPort: number): Promise<Contender> {
  const nginx = await startNginx({ dir: process.env['BENCH_DIR']!, upstream: `127.0.0.1:${upstreamPort}`, hasAccessLog: false });
  return { name: 'nginx', port: nginx.port, pid: nginx.pid, stop: () => nginx.stop() };
}

/** Sends that many requests over the fixed number of kept connections, one at a time on each. */
async function load(port: number, requests: number): Promise<void> {
  const each = Math.ceil(requests / CONNECTIONS);
  await Promise.all(Array.from({ length: CONNECTIONS }, () => sequence(port, each)));
}

function sequence(port: number, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let left = count;
    let received = '';
    socket.on('error', reject);
    socket.on('connect', () => socket.write(REQUEST));
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      const end = received.indexOf('\r\n\r\n');
      if (end < 0 || received.length < end + 4 + 600) return;
      if (!received.startsWith('HTTP/1.1 200')) return void socket.destroy(new Error(received.slice(0, 100)));
      received = '';
      left -= 1;
      if (left > 0) return void socket.write(REQUEST);
      socket.destroy();
      resolve();
    });
  });
}
