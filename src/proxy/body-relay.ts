import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ForwardStats } from './forward-context.ts';
import { trailersToSend } from './hop-by-hop.ts';
import { notePassedBytes } from './passed-bytes.ts';

const relay = Symbol('bodyRelay');
interface Tied {
  [relay]: BodyRelay;
}

/** Told when the client has sent nothing for the idle time, though the upstream would have taken it. */
export interface BodyListener {
  bodyStalls(): void;
}

/**
 * Gives a client's body to the upstream as it comes, with back-pressure and trailers. It takes the first byte only when the
 * connection to the upstream stands, so that a request whose connection was refused can go elsewhere. A body has one upstream:
 * what has begun is never sent twice.
 */
export class BodyRelay {
  readonly #request: IncomingMessage;
  readonly #outgoing: ClientRequest;
  readonly #stats: ForwardStats;
  readonly #idleMs: number;
  readonly #listener: BodyListener;
  readonly #removedTrailers: ReadonlySet<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #awaitsContinue: boolean;
  #awaitsDrain = false;
  #isOver = false;
  /** Whether a byte was taken from the client. */
  hasBegun = false;

  /**
   * @param idleMs Infinity for no limit
   * @param removedTrailers see `trailersToSend`
   */
  constructor(request: IncomingMessage, outgoing: ClientRequest, stats: ForwardStats, idleMs: number, listener: BodyListener, removedTrailers?: ReadonlySet<string>) {
    this.#request = request;
    this.#outgoing = outgoing;
    this.#stats = stats;
    this.#idleMs = idleMs;
    this.#listener = listener;
    this.#removedTrailers = removedTrailers;
    this.#awaitsContinue = request.headers.expect !== undefined;
  }

  /** Waits for the upstream's connection, then begins. */
  attach(): void {
    (this.#request as unknown as Tied)[relay] = this;
    (this.#outgoing as unknown as Tied)[relay] = this;
    this.#outgoing.on('socket', onSocket);
  }

  /** Whether it is the client who keeps the upstream waiting. */
  get isClientsTurn(): boolean {
    return !this.#outgoing.writableEnded && !this.#awaitsDrain && !this.#awaitsContinue && !this.#outgoing.socket?.connecting;
  }

  /** The upstream said `100 Continue`: now it is the client who has to send. */
  continued(): void {
    this.#awaitsContinue = false;
    this.#timer?.refresh();
  }

  begin(): void {
    if (this.#isOver) return;
    const request = this.#request;
    request.on('end', onEnd);
    request.on('close', onClose);
    request.on('data', onData);
    if (request.complete) return;
    // `flushHeaders` would write the head as UTF-8 and so change bytes beyond ASCII.
    this.#outgoing.write('', 'latin1');
    if (this.#idleMs !== Infinity) this.#timer = setTimeout(onIdle, this.#idleMs, this);
  }

  take(chunk: Buffer): void {
    this.hasBegun = true;
    this.#awaitsContinue = false;
    if (this.#isOver) return;
    this.#stats.bytesIn += chunk.length;
    notePassedBytes(chunk.length);
    this.#timer?.refresh();
    // With the end known, the last chunk leaves in one write with what ends the message.
    if (this.#request.complete && this.#request.readableLength === 0) return this.end(chunk);
    if (this.#outgoing.write(chunk)) return;
    this.#awaitsDrain = true;
    this.#request.pause();
    // Asked of the connection itself: Node tells the request no more of it once the answer is whole, which may be early.
    this.#outgoing.socket!.once('drain', () => this.resume());
  }

  resume(): void {
    this.#awaitsDrain = false;
    this.#timer?.refresh();
    this.#request.resume();
  }

  end(lastChunk?: Buffer): void {
    clearTimeout(this.#timer);
    const outgoing = this.#outgoing;
    if (this.#isOver || outgoing.writableEnded || !this.#request.complete) return;
    if (outgoing.chunkedEncoding && this.#request.rawTrailers.length > 0) outgoing.addTrailers(trailersToSend(this.#request.rawTrailers, this.#removedTrailers));
    if (lastChunk) outgoing.end(lastChunk);
    else outgoing.end();
  }

  /** The client's connection ended, perhaps in the middle of its body. */
  lost(): void {
    clearTimeout(this.#timer);
    if (!this.#request.complete && !this.#isOver) this.#outgoing.destroy();
  }

  idle(): void {
    if (this.#awaitsDrain || this.#awaitsContinue) this.waitOn();
    else this.#listener.bodyStalls();
  }

  /** The stall is to be borne; told again after the next idle time. */
  waitOn(): void {
    this.#timer?.refresh();
  }

  /** The upstream takes no more; what still comes is dropped. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  /** The request is to be handed back. */
  detach(): void {
    this.stop();
    this.#request.off('data', onData);
    this.#request.off('end', onEnd);
    this.#request.off('close', onClose);
    if (this.hasBegun) this.#request.pause();
  }

  /** The response is over and the body goes on. From here Node no longer tells the request that its connection closed. */
  watchConnection(): void {
    const { socket } = this.#request;
    const lost = (): void => this.lost();
    if (socket.destroyed) return lost();
    socket.once('close', lost);
    this.#request.once('end', () => socket.off('close', lost));
    this.#outgoing.once('close', () => socket.off('close', lost));
  }
}

function relayOf(emitter: object): BodyRelay {
  return (emitter as Tied)[relay];
}

function onSocket(this: ClientRequest, socket: Socket): void {
  if (!socket.connecting) return relayOf(this).begin();
  socket.once('connect', () => relayOf(this).begin());
}

function onData(this: IncomingMessage, chunk: Buffer): void {
  relayOf(this).take(chunk);
}

function onEnd(this: IncomingMessage): void {
  relayOf(this).end();
}

function onClose(this: IncomingMessage): void {
  relayOf(this).lost();
}

function onIdle(self: BodyRelay): void {
  self.idle();
}
