import { ServerResponse, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { PipesError } from '../core/errors.ts';
import type { Upstream } from '../instances/upstream.ts';
import { switchHeaders } from './answer-headers.ts';
import { AnswerRelay } from './answer-relay.ts';
import type { ForwardContext } from './forward-context.ts';
import type { ForwardEnd } from './forward.ts';
import type { RelayTimeouts } from './relay-request.ts';
import { closeGently } from './unread-body.ts';
import { upstreamError } from './upstream-error.ts';

/**
 * What http-proxy's `ws()` is given for a request: it reads nothing but these, so hostile targets and headers never reach its
 * URL parser. The relay on it is how the `proxyReqWs` event finds back.
 */
export interface UpgradeStub {
  readonly method: string;
  readonly url: '/';
  readonly headers: Record<string, string>;
  readonly httpVersion: '1.1';
  readonly httpVersionMajor: 1;
  readonly relay: UpgradeRelay;
}

/** Has http-proxy ask the upstream for the upgrade; it announces its request through `prepare` before this returns. */
export type StartUpgrade = (stub: UpgradeStub, socket: Socket, whenUpstreamFails: (error: Error) => void) => void;

/**
 * One connection that asks to become something else: a WebSocket or any other protocol. http-proxy makes the request, writes
 * the 101 and joins the two sockets; everything before that and every other end is decided here: a refusal is relayed as the
 * ordinary answer that it is, a client that leaves before the answer takes the upstream's request with it, an upstream that
 * dies cuts the client, one direction that ends leaves the other open.
 */
export class UpgradeRelay {
  readonly #request: IncomingMessage;
  readonly #socket: Socket;
  readonly #head: Buffer;
  readonly #upstream: Upstream;
  readonly #headers: string[];
  readonly #context: ForwardContext;
  readonly #timeouts: RelayTimeouts;
  readonly #start: StartUpgrade;
  #settle!: (end: ForwardEnd) => void;
  #startedAtMs = 0;
  #outgoing: ClientRequest | undefined;
  #tunnel: Socket | undefined;
  #tunnelBytesRead = 0;
  #tunnelBytesWritten = 0;
  #answer: AnswerRelay | undefined;
  #ownError: PipesError | undefined;
  #failure: Error | undefined;
  #isClientOver = false;
  #isUpstreamOver = false;
  #isAborted = false;

  constructor(request: IncomingMessage, socket: Socket, head: Buffer, upstream: Upstream, headers: string[], context: ForwardContext, timeouts: RelayTimeouts, start: StartUpgrade) {
    this.#request = request;
    this.#socket = socket;
    this.#head = head;
    this.#upstream = upstream;
    this.#headers = headers;
    this.#context = context;
    this.#timeouts = timeouts;
    this.#start = start;
  }

  /** Settles once, when both connections are over. Never rejects. After `failed` the socket is the caller's again. */
  run(): Promise<ForwardEnd> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#startedAtMs = performance.now();
      const socket = this.#socket;
      // http-proxy counts sockets by their `close`, so one that has closed already would be counted for ever.
      if (socket.destroyed) return resolve({ kind: 'aborted', status: undefined });
      socket.on('close', this.#onClientClose);
      this.#watchClient();
      try {
        this.#start({ method: this.#request.method!, url: '/', headers: {}, httpVersion: '1.1', httpVersionMajor: 1, relay: this }, socket, this.#onTunnelError);
        this.#takeOver();
      } catch (error) {
        this.#outgoing?.destroy();
        this.#fail(new PipesError('invalid_request', 'The request cannot be sent on: its target or a header holds characters that HTTP does not allow.', { cause: error }), false);
      }
    });
  }

  /** Called by http-proxy before it sends: the request becomes the client's, byte for byte in its target and header fields. */
  prepare(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    outgoing.maxHeadersCount = 0;
    if (/[^\u0021-\u00ff]/.test(this.#request.url!)) throw new TypeError('unescaped characters in the request target');
    outgoing.path = this.#request.url!;
    outgoing.removeHeader('Host');
    for (let at = 0; at + 1 < this.#headers.length; at += 2) outgoing.appendHeader(this.#headers[at]!, this.#headers[at + 1]!);
    if (this.#timeouts.upstreamTimeoutMs !== Infinity) outgoing.setTimeout(this.#timeouts.upstreamTimeoutMs, this.#onUpstreamSilence);
  }

  /** Replaces http-proxy's own ends: it would write a refusal without back-pressure and close the client before an error page. */
  #takeOver(): void {
    const outgoing = this.#outgoing;
    if (!outgoing) throw new Error('http-proxy announced no request');
    outgoing.removeAllListeners('response');
    outgoing.removeAllListeners('error');
    outgoing.on('response', this.#onRefusal);
    outgoing.on('error', this.#onUpstreamError);
    outgoing.on('close', this.#onUpstreamClose);
    outgoing.prependListener('upgrade', this.#onUpgrade);
  }

  /**
   * The end of a client that waits shows only to one who reads. `read(0)` takes nothing; with early bytes in the buffer the end
   * shows when they are read, after the upgrade.
   */
  #watchClient(): void {
    this.#socket.on('readable', readNothing);
    this.#socket.on('end', this.#onEarlyEnd);
  }

  #unwatchClient(): void {
    this.#socket.off('readable', readNothing);
    this.#socket.off('end', this.#onEarlyEnd);
  }

  readonly #onEarlyEnd = (): void => {
    this.#socket.destroy();
  };

  readonly #onUpgrade = (answer: IncomingMessage, tunnel: Socket, tunnelHead: Buffer): void => {
    this.#unwatchClient();
    const socket = this.#socket;
    const { stats } = this.#context;
    stats.status = answer.statusCode!;
    stats.ttfbMs = performance.now() - this.#startedAtMs;
    this.#tunnel = tunnel;
    this.#tunnelBytesRead = tunnel.bytesRead - tunnelHead.length;
    this.#tunnelBytesWritten = tunnel.bytesWritten;
    answer.headers = switchHeaders(answer);
    // Not given to http-proxy before: a request that fails hands the socket back as it was.
    if (this.#head.length > 0) socket.unshift(this.#head);
    tunnel.on('close', this.#onTunnelClose);
    tunnel.once('end', this.#onHalfClose);
    socket.once('end', this.#onHalfClose);
    if (this.#isClientOver) tunnel.destroy();
  };

  /** One direction may be silent for long after the other has ended, but not for ever. */
  readonly #onHalfClose = (): void => {
    const idleMs = this.#timeouts.bodyIdleTimeoutMs;
    if (idleMs === Infinity) return;
    for (const end of [this.#socket, this.#tunnel!]) end.setTimeout(idleMs, () => end.destroy());
  };

  readonly #onTunnelError = (error: Error): void => {
    this.#failure ??= error;
    // Visible as what it is; http-proxy would close the client as if all had been said.
    if (!this.#isClientOver) this.#cutClient();
  };

  readonly #onTunnelClose = (): void => {
    const tunnel = this.#tunnel!;
    this.#context.stats.bytesOut = tunnel.bytesRead - this.#tunnelBytesRead;
    this.#context.stats.bytesIn = tunnel.bytesWritten - this.#tunnelBytesWritten;
    this.#isUpstreamOver = true;
    this.#settleWhenOver();
  };

  /** The upstream answers as if nothing had been asked: an ordinary answer, framed by Node, after which the connection ends. */
  readonly #onRefusal = (answer: IncomingMessage): void => {
    const outgoing = this.#outgoing!;
    if (this.#isClientOver || this.#ownError) return void answer.destroy();
    this.#unwatchClient();
    outgoing.setTimeout(0);
    this.#context.stats.ttfbMs = performance.now() - this.#startedAtMs;
    const response = new ServerResponse(this.#request);
    const relay = new AnswerRelay(answer, response, this.#context.stats, this.#timeouts.bodyIdleTimeoutMs);
    response.shouldKeepAlive = false;
    response.assignSocket(this.#socket);
    // Node's own listeners left the connection with its upgrade.
    this.#socket.on('drain', () => response.emit('drain'));
    this.#socket.on('timeout', () => response.emit('timeout'));
    response.on('finish', () => {
      this.#isClientOver = true;
      this.#context.stats.status = answer.statusCode!;
      response.detachSocket(this.#socket);
      closeGently(this.#socket);
      this.#settleWhenOver();
    });
    try {
      relay.start();
    } catch (error) {
      response.detachSocket(this.#socket);
      this.#ownError = new PipesError('upstream_failed', 'The head of the container\'s answer cannot be sent on.', { cause: error });
      outgoing.destroy();
      return;
    }
    this.#answer = relay;
    // Bytes that a client sends without knowing are dropped, and its leaving shows only to one who reads.
    this.#socket.once('end', () => {
      if (!response.writableFinished) this.#socket.destroy();
    });
    this.#socket.resume();
  };

  readonly #onUpstreamSilence = (): void => {
    if (this.#tunnel !== undefined || this.#answer !== undefined) return;
    this.#ownError = new PipesError('upstream_timeout', `The container sent no answer for ${this.#timeouts.upstreamTimeoutMs} ms.`);
    this.#outgoing!.destroy();
  };

  readonly #onUpstreamError = (error: Error): void => {
    this.#failure ??= error;
    this.#answer?.connectionFailed();
  };

  readonly #onUpstreamClose = (): void => {
    if (this.#tunnel !== undefined) return;
    this.#isUpstreamOver = true;
    if (this.#answer === undefined) {
      if (this.#isAborted) return this.#settleWhenOver();
      if (this.#ownError) return this.#fail(this.#ownError, false);
      const { error, hasConnected } = upstreamError(this.#upstream, this.#failure);
      return this.#fail(error, !hasConnected);
    }
    if (!this.#answer.isWhole && !this.#isClientOver) this.#answer.cut();
    this.#settleWhenOver();
  };

  readonly #onClientClose = (): void => {
    if (this.#isClientOver) return;
    this.#isClientOver = true;
    const socket = this.#socket;
    const tunnel = this.#tunnel;
    if (tunnel === undefined) {
      this.#isAborted = !(this.#isUpstreamOver && this.#answer?.isWhole === false);
      this.#outgoing?.destroy();
    } else if (this.#failure === undefined && (socket.errored || !socket.readableEnded)) {
      this.#isAborted = !tunnel.destroyed;
      tunnel.destroy();
    } else if (!tunnel.destroyed && this.#timeouts.bodyIdleTimeoutMs !== Infinity) {
      // What the client said last is still on its way.
      tunnel.setTimeout(this.#timeouts.bodyIdleTimeoutMs, () => tunnel.destroy());
    }
    this.#settleWhenOver();
  };

  #cutClient(): void {
    if ('encrypted' in this.#socket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #fail(error: PipesError, replayable: boolean): void {
    this.#unwatchClient();
    this.#socket.off('close', this.#onClientClose);
    this.#settle({ kind: 'failed', error, replayable });
  }

  #settleWhenOver(): void {
    if (!this.#isClientOver || !this.#isUpstreamOver) return;
    const status = this.#answer?.answer.statusCode ?? (this.#tunnel ? this.#context.stats.status : undefined);
    if (this.#isAborted || status === undefined) return this.#settle({ kind: 'aborted', status });
    const isWhole = this.#tunnel ? this.#failure === undefined : this.#answer!.isWhole;
    if (isWhole) return this.#settle({ kind: 'answered', status });
    this.#settle({ kind: 'broken', status, error: new PipesError('upstream_failed', 'The container broke off an open connection.', { cause: this.#failure }) });
  }
}

function readNothing(this: Socket): void {
  this.read(0);
}
