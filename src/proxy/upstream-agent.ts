import { Agent, type ClientRequest } from 'node:http';
import type { Socket, TcpNetConnectOpts } from 'node:net';

/** Documented members of Node's Agent that its type declarations leave out. */
declare module 'node:http' {
  interface Agent {
    createConnection(options: TcpNetConnectOpts, callback?: (error: Error | null, socket: Socket) => void): Socket;
    keepSocketAlive(socket: Socket): boolean;
    reuseSocket(socket: Socket, request: ClientRequest): void;
  }
}

export interface UpstreamAgentOptions {
  readonly connectTimeoutMs: number;
  /** False for connections that are used once, as upgraded ones are; they also stay open in one direction when the other ends. */
  readonly isPooled: boolean;
  /** Told when the last connection has closed; whoever keeps the agent may forget it. */
  readonly whenUnused?: () => void;
}

/** The upstream did not take the connection in `connectTimeoutMs`. */
export class ConnectTimeout extends Error {
  /** As the system's own connection errors have it, so that both are told apart from later failures in one way. */
  readonly syscall = 'connect';
}

/** Below the 5 s after which Node's own server, a frequent upstream, closes an idle connection. */
const IDLE_SOCKET_TIMEOUT_MS = 4000;

/** A request that cannot be sent twice takes an idle connection only if it is this young; an older one may be closing. */
const FRESH_IDLE_MS = 1000;

const idleSince = Symbol('idleSince');
const bytesBefore = Symbol('bytesBefore');
type PooledSocket = Socket & { [idleSince]?: number | undefined; [bytesBefore]?: number };

/** Connections to one upstream: kept alive between requests, opened under a deadline, and closed when the upstream is gone. */
export class UpstreamAgent extends Agent {
  readonly #connectTimeoutMs: number;
  readonly #isPooled: boolean;
  readonly #whenUnused: (() => void) | undefined;
  #openSockets = 0;
  #isReleased = false;

  constructor(options: UpstreamAgentOptions) {
    super({ keepAlive: options.isPooled, maxSockets: Infinity, maxFreeSockets: 256, scheduling: 'lifo', ...(options.isPooled ? {} : { allowHalfOpen: true }) });
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#isPooled = options.isPooled;
    this.#whenUnused = options.whenUnused;
  }

  override createConnection(options: TcpNetConnectOpts, callback?: (error: Error | null, socket: Socket) => void): Socket {
    const socket = super.createConnection(options, callback);
    this.#openSockets += 1;
    if (this.#isPooled) socket.on('data', hangUpWhenIdle);
    socket.once('close', () => {
      this.#openSockets -= 1;
      if (this.#openSockets === 0) this.#whenUnused?.();
    });
    if (!Number.isFinite(this.#connectTimeoutMs)) return socket;
    const timer = setTimeout(() => socket.destroy(new ConnectTimeout(`no connection within ${this.#connectTimeoutMs} ms`)), this.#connectTimeoutMs);
    const stop = (): void => clearTimeout(timer);
    socket.once('connect', stop);
    socket.once('close', stop);
    return socket;
  }

  override keepSocketAlive(socket: PooledSocket): boolean {
    if (this.#isReleased || !this.#isPooled || !super.keepSocketAlive(socket)) return false;
    socket[idleSince] = performance.now();
    if (!socket.timeout || socket.timeout > IDLE_SOCKET_TIMEOUT_MS) socket.setTimeout(IDLE_SOCKET_TIMEOUT_MS);
    return true;
  }

  override reuseSocket(socket: PooledSocket, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    socket[idleSince] = undefined;
    socket[bytesBefore] = socket.bytesRead;
    socket.setTimeout(0);
  }

  /** Closes idle connections that may be closing at the other end; the most recently used is the next one to be taken. */
  dropStale(): void {
    const oldest = performance.now() - FRESH_IDLE_MS;
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of sockets?.slice() ?? []) if (((socket as PooledSocket)[idleSince] ?? 0) < oldest) socket.destroy();
    }
  }

  /** Closes every idle connection, so that the next request opens one. */
  dropIdle(): void {
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets?.slice() ?? []) socket.destroy();
  }

  /** The upstream is gone: idle connections close now, busy ones after their request. */
  release(): void {
    this.#isReleased = true;
    this.dropIdle();
  }
}

/** Nobody asked for what comes on an idle connection; it must not become the answer to the next request (RFC 9112 section 9.2). */
function hangUpWhenIdle(this: PooledSocket): void {
  if (this[idleSince] !== undefined) this.destroy();
}

/** Bytes that came on a connection since it was taken from the pool. */
export function bytesSinceReuse(socket: Socket): number {
  return socket.bytesRead - ((socket as PooledSocket)[bytesBefore] ?? 0);
}
