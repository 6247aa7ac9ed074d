import { createServer, request as httpRequest } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { newForwardStats } from '../../../src/proxy/forward-context.ts';
import { Forwarder } from '../../../src/proxy/forwarder.ts';

/**
 * A process of its own, with nothing in it but a server, a forwarder and an upstream, which does one thing many times and prints
 * what is left behind as JSON. Started by `leaks.test.ts` with `--expose-gc`; the argument is the thing to do.
 */
const COUNT = 1000;
const WARM_UP = 300;

const upstreamServer = createServer((request, response) => {
  if (request.url === '/hang') return void response.on('error', () => undefined);
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  if (request.url === '/stream') return void response.write('begun');
  response.end('whole');
});
upstreamServer.on('upgrade', (request, socket: Socket) => {
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroy()).resume();
  if (request.url !== '/hang') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
});

const front = createServer();
const forwarder = new Forwarder({ connectTimeoutMs: 5000, upstreamTimeoutMs: Infinity, bodyIdleTimeoutMs: 60_000, trustProxy: () => false, isOwnToken: () => false });
const ends: Record<string, number> = {};
let open = 0;
/** Called, by the client's port, when its request has been handed to the forwarder. */
const arrivals = new Map<number, () => void>();
const frontSockets = new Set<Socket>();

async function main(): Promise<void> {
  await Promise.all([front, upstreamServer].map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const upstream = { host: '127.0.0.1', port: (upstreamServer.address() as AddressInfo).port };
  const counted = (socket: Socket, ending: Promise<{ kind: string }>): void => {
    open += 1;
    arrivals.get(socket.remotePort!)?.();
    void ending.then(({ kind }) => {
      open -= 1;
      ends[kind] = (ends[kind] ?? 0) + 1;
    });
  };
  front.on('connection', (socket) => {
    frontSockets.add(socket);
    socket.once('close', () => frontSockets.delete(socket));
  });
  front.on('request', (incoming, response) => counted(incoming.socket, forwarder.request(incoming, response, upstream, { requestId: 'r', mayRetry: true, stats: newForwardStats() })));
  front.on('upgrade', (incoming, socket: Socket, head) => counted(incoming.socket, forwarder.upgrade(incoming, socket, head, upstream, { requestId: 'r', mayRetry: true, stats: newForwardStats() })));
  const what = ACTIONS[process.argv[2]!]!;
  await inTurns(WARM_UP, what);
  await settled();
  for (const kind of Object.keys(ends)) Reflect.deleteProperty(ends, kind);
  const heapBefore = heapUsed();
  await inTurns(COUNT, what);
  await settled();
  const heapAfter = heapUsed();
  const counts = { ...ends };
  // One connection that is kept alive, used once more for each request: its listeners must not pile up.
  const keptListeners = await listenersOnKeptSocket();
  process.stdout.write(JSON.stringify({ ends: counts, heapGrowthBytes: heapAfter - heapBefore, frontSockets: frontSockets.size, upstreamSockets: await connections(), keptListeners }));
  process.exit(0);
}

type Action = (port: number) => Promise<void>;

const UPGRADE = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;

const ACTIONS: Record<string, Action> = {
  /** Leaves before the answer. */
  'abort-early': (port) => leaving(port, 'GET /hang HTTP/1.1\r\nHost: a\r\n\r\n', undefined),
  /** Leaves in the middle of the answer. */
  'abort-late': (port) => leaving(port, 'GET /stream HTTP/1.1\r\nHost: a\r\n\r\n', 'begun'),
  'abort-upload': (port) => leaving(port, 'POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nfirst bytes', undefined),
  'abort-upgrade': (port) => leaving(port, UPGRADE('/hang'), undefined),
  'refused-upgrade': (port) => leaving(port, UPGRADE('/no'), '\r\n\r\nno'),
};

function leaving(port: number, text: string, after: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let received = '';
    const leave = (): void => void socket.resetAndDestroy();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      arrivals.delete(clientPort);
      resolve();
    });
    let clientPort = 0;
    socket.on('connect', () => {
      clientPort = socket.localPort!;
      // One turn later, so that the upstream has been asked as well.
      if (after === undefined) arrivals.set(clientPort, () => setImmediate(leave));
      socket.write(text);
    });
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      if (after !== undefined && received.includes(after)) leave();
    });
  });
}

async function inTurns(count: number, action: Action): Promise<void> {
  const { port } = front.address() as AddressInfo;
  for (let done = 0; done < count; done += 20) await Promise.all(Array.from({ length: 20 }, () => action(port)));
}

async function settled(): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while ((open > 0 || frontSockets.size > 0 || (await connections()) > 0) && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 20));
}

function connections(): Promise<number> {
  return new Promise((resolve) => upstreamServer.getConnections((_error, count) => resolve(count)));
}

function heapUsed(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc!();
  return process.memoryUsage().heapUsed;
}

async function listenersOnKeptSocket(): Promise<number[]> {
  const { port } = front.address() as AddressInfo;
  const { Agent } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const counts: number[] = [];
  for (let round = 0; round < 30; round += 1) {
    await new Promise<void>((resolve, reject) => {
      httpRequest({ port, host: '127.0.0.1', agent, method: 'POST', path: '/', headers: { 'Content-Length': 4 } }, (response) => response.resume().on('end', resolve)).on('error', reject).end('body');
    });
    const [socket] = frontSockets;
    counts.push(socket!.eventNames().reduce((sum, name) => sum + socket!.listenerCount(name), 0));
  }
  agent.destroy();
  await settledFront();
  forwarder.close();
  await settled();
  return counts.slice(-2).concat(counts[1]!);
}

async function settledFront(): Promise<void> {
  while (frontSockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

await main();
