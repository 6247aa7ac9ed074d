/**
 * CPU per forwarded request: pipes' forwarder, http-proxy's `web()` with a keep-alive agent and with its default one, and nginx if
 * it is installed. One run, alternating, medians; a keep-alive GET with a small answer over loopback. `make bench` runs it
 * (forwarder.bench.ts compiles it first, since Node 20 reads no TypeScript).
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer } from 'node:http';
import { connect, createServer as createNetServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ProxyServer } from 'http-proxy';
import { newForwardStats } from '../src/proxy/forward-context.ts';
import { Forwarder } from '../src/proxy/forwarder.ts';

const ROUNDS = 7;
const REQUESTS = 6000;
const CONNECTIONS = 16;
/** Clock ticks of /proc/PID/stat on every Linux that Node runs on. */
const TICK_US = 10_000;

const REQUEST = 'GET /path/to/page?with=query HTTP/1.1\r\nHost: main.web.alice.localhost:8080\r\nUser-Agent: bench/1.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n\r\n';
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nETag: "abc"\r\nSet-Cookie: a=1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 600\r\n\r\n${'x'.repeat(600)}`;

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pids: readonly number[];
  readonly stop: () => void;
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
  const contenders = [...(await Promise.all(Object.keys(ROLES).map((name) => ownContender(name, upstreamPort)))), ...(await nginxContender(upstreamPort))];
  const costsUs = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  try {
    for (const contender of contenders) await load(contender.port, 3000);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const contender of contenders) {
        const beforeUs = cpuUs(contender.pids);
        const startedMs = performance.now();
        await load(contender.port, REQUESTS);
        rates.get(contender.name)!.push(REQUESTS / ((performance.now() - startedMs) / 1000));
        costsUs.get(contender.name)!.push((cpuUs(contender.pids) - beforeUs) / REQUESTS);
      }
    }
  } finally {
    for (const contender of contenders) contender.stop();
    upstream.close();
  }
  console.log(`median of ${ROUNDS} alternating rounds of ${REQUESTS} requests on ${CONNECTIONS} connections, Node ${process.version}`);
  for (const { name } of contenders) console.log(`${name.padEnd(32)} ${median(costsUs.get(name)!).toFixed(1).padStart(7)} µs CPU/request ${Math.round(median(rates.get(name)!)).toString().padStart(7)} requests/s`);
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
  return { name, port: Number(port), pids: [child.pid!], stop: () => void child.kill() };
}

/** One worker, keep-alive towards the upstream, the same headers added, no access log. */
async function nginxContender(upstreamPort: number): Promise<Contender[]> {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' });
  } catch {
    console.log('nginx is not installed: left out');
    return [];
  }
  const directory = mkdtempSync(join(tmpdir(), 'pipes-bench-nginx-'));
  const port = await freePort();
  const config = join(directory, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 512; }
http { access_log off; client_body_temp_path ${directory}/b; proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f; uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
keepalive_requests 1000000;
upstream app { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Proto $scheme; } } }`,
  );
  const child = spawn('nginx', ['-c', config, '-p', directory, '-e', join(directory, 'error.log')], { stdio: 'ignore' });
  await untilListening(port);
  const workers = readFileSync(`/proc/${child.pid!}/task/${child.pid!}/children`, 'utf8').trim().split(' ').map(Number);
  const stop = (): void => {
    child.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  return [{ name: 'nginx', port, pids: workers, stop }];
}

async function freePort(): Promise<number> {
  const probe = createNetServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => {
        socket.destroy();
        resolve(true);
      }).on('error', () => resolve(false));
    });
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('nginx did not start');
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

function cpuUs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_US;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!;
}
