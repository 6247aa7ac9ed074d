import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { mustServeWithoutUpgrade, serveWithoutUpgrade } from './declined-upgrade.ts';
import { DescriptorReserve } from './descriptor-reserve.ts';
import type { Dispatcher } from './dispatcher.ts';
import { afterAnswersDue, isRefused, noteAnswer, refuseConnection } from './refused-connection.ts';

export interface ProxyServerOptions {
  readonly bind: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly dispatcher: Dispatcher;
  readonly log: Log;
  /** How many descriptors the process may have open. Default: as many as it likes. */
  readonly mostOpenFiles?: number;
  /** How long a request's head may take. */
  readonly headerTimeoutMs: number;
  /** How long requests may go on once the server is to stop. */
  readonly shutdownTimeoutMs: number;
}

/** The listening socket: takes connections, hands requests to the dispatcher, and ends without cutting anybody off. */
export class ProxyServer {
  readonly #options: ProxyServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stopping = false;

  constructor(options: ProxyServerOptions) {
    this.#options = options;
    this.#server = createServer({
      headersTimeout: options.headerTimeoutMs,
      // A body may take as long as it moves: the forwarder watches that it does (BODY_IDLE_TIMEOUT).
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The dispatcher answers that itself, as a problem document.
      requireHostHeader: false,
      connectionsCheckingInterval: Math.min(5_000, options.headerTimeoutMs),
    });
    // Beyond its default of 1000 Node drops fields without a word, framing ones too. The size of the head bounds their number.
    this.#server.maxHeadersCount = 0;
  }

  /** Listens; resolves with the port. @throws the socket's error, such as EADDRINUSE */
  async start(): Promise<number> {
    const { dispatcher, bind, port, log, mostOpenFiles = Infinity } = this.#options;
    const reserve = new DescriptorReserve(mostOpenFiles, log);
    this.#server.on('connection', (socket: Socket) => {
      // Given back by an upgrade that was declined.
      if (this.#sockets.has(socket)) return;
      if (!reserve.admits(socket)) return void socket.destroy();
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    const request: RequestListener = (request, response) => {
      if (isRefused(request.socket)) return void request.resume();
      noteAnswer(request, response);
      if (this.#stopping) response.setHeader('Connection', 'close');
      dispatcher.request(request, response);
    };
    this.#server.on('request', request);
    this.#server.on('checkContinue', request);
    // An expectation that pipes does not know is the app's to judge (RFC 9110, 10.1.1).
    this.#server.on('checkExpectation', request);
    this.#server.on('upgrade', (request, socket, head) => {
      // Node leaves an upgraded socket without any listener, and a reset while it waits must not end the process.
      socket.off('error', ignore).on('error', ignore);
      if (isRefused(socket)) return void socket.resume();
      // Requests may stand before it on this connection; their answers go first.
      afterAnswersDue(socket, () => {
        // An upgrade that nobody has to take (h2c, or one with a body) is an ordinary request (RFC 9110, 7.8).
        if (mustServeWithoutUpgrade(request)) serveWithoutUpgrade(this.#server, request, socket, head);
        else dispatcher.upgrade(request, socket, head);
      });
    });
    this.#server.on('connect', refuseTunnel);
    this.#server.on('clientError', answerClientError);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: bind, port, backlog: 4096 }, () => {
        this.#server.off('error', reject);
        // Out of descriptors, for one: the connection is lost, the server must not be.
        this.#server.on('error', (error) => reserve.failed(error));
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** No new connections; those in flight may finish until the deadline, then they are cut. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const deadlineMs = performance.now() + this.#options.shutdownTimeoutMs;
    while (this.#options.dispatcher.open > 0 && performance.now() < deadlineMs) {
      this.#server.closeIdleConnections();
      await delay(25);
    }
    if (this.#options.dispatcher.open > 0) this.#options.log.warn({ open: this.#options.dispatcher.open }, 'cutting requests that did not finish in SHUTDOWN_TIMEOUT');
    this.#server.closeIdleConnections();
    // One turn for answers that are written but not yet on their way.
    await Promise.race([closed, delay(100)]);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Longer than the 60 s that load balancers commonly keep an idle connection, so that it is they who close it. */
const KEEP_ALIVE_MS = 75_000;

/** One function, so that a connection that asks again and again gets one listener. */
function ignore(): void {
  // Its end shows by its `close`.
}

function refuseTunnel(request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => undefined);
  refuseConnection(request, socket, new PipesError('method_not_allowed', 'CONNECT is for forward proxies; pipes is none.'));
}

/** What Node's parser refuses: answered as everything else, and the connection closed (INTERFACE 3). */
function answerClientError(thrown: NodeJS.ErrnoException, socket: Duplex): void {
  if (thrown.code === 'ECONNRESET') return void socket.destroy();
  refuseConnection(undefined, socket, clientError(thrown.code));
}

function clientError(code: string | undefined): PipesError {
  if (code === 'HPE_HEADER_OVERFLOW') return new PipesError('headers_too_large', 'The request headers are larger than 16 KB in all.');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new PipesError('request_timeout', 'The head of the request did not arrive in time.');
  return new PipesError('invalid_request', 'The request is not valid HTTP/1.1.');
}
