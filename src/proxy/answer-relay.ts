import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { answerHeaders } from './answer-headers.ts';
import type { ForwardStats } from './forward-context.ts';
import { hasBody } from './forwarded-headers.ts';
import { trailersToSend } from './hop-by-hop.ts';
import { notePassedBytes } from './passed-bytes.ts';

const relay = Symbol('answerRelay');
interface Tied {
  [relay]: AnswerRelay;
}

/**
 * Gives one upstream's answer to the client as it comes: head, body with back-pressure, trailers. It says nothing about how
 * the two connections end; whoever owns them watches their `close` and calls `cut` when the answer broke off.
 *
 * Its listeners are shared functions that find their relay on the emitter: a warm request makes no closures.
 */
export class AnswerRelay {
  readonly answer: IncomingMessage;
  readonly response: ServerResponse;
  readonly stats: ForwardStats;
  /** True once a byte of the head or body was given to Node for sending on its own accord. */
  isFlushed = false;
  isEnded = false;
  #hasBroken = false;
  #isWatched = false;
  readonly #unreadMs: number;

  /** @param unreadMs how long a client may read nothing of what waits for it; Infinity for no limit */
  constructor(answer: IncomingMessage, response: ServerResponse, stats: ForwardStats, unreadMs = Infinity) {
    this.#unreadMs = unreadMs;
    this.answer = answer;
    this.response = response;
    this.stats = stats;
  }

  /** @throws what Node throws about a head that cannot be written, or an Error for one that is ambiguous; nothing has been sent then */
  start(): void {
    const { answer, response } = this;
    assertUnambiguous(answer);
    this.stats.status = answer.statusCode!;
    // An early answer: Node would close the connection of a client that asked for it at once, with body bytes unread, and the
    // reset could overtake the answer. The client closes when it has read it.
    if (!response.req.complete && hasBody(response.req)) response.shouldKeepAlive = true;
    response.writeHead(answer.statusCode!, answer.statusMessage ?? '', answerHeaders(answer, response.req));
    (answer as unknown as Tied)[relay] = this;
    (response as unknown as Tied)[relay] = this;
    response.on('drain', onDrain);
    answer.on('end', onEnd);
    answer.on('data', onData);
    // Data that came together with the head is delivered in this turn and leaves in one packet with it. A head that comes alone,
    // as that of server-sent events does, must not wait for a body.
    process.nextTick(flushHead, this);
  }

  /** Whether the upstream has said all of it. */
  get isWhole(): boolean {
    return this.answer.complete && !this.#hasBroken;
  }

  /** The upstream's connection failed. Node counts a body that ends with its connection as complete even then. */
  connectionFailed(): void {
    if (!this.answer.complete) this.#hasBroken = true;
  }

  /** Ends the client's connection so that it can tell that the answer is not whole. */
  cut(): void {
    const socket = this.response.req.socket;
    const endsByClosing = !this.response.chunkedEncoding && this.answer.headers['content-length'] === undefined;
    // Where the end of the connection is the end of the body, only a reset differs from a whole answer.
    if (endsByClosing && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
    else socket.destroy();
  }

  end(lastChunk?: Buffer): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.isFlushed = true;
    if (this.response.chunkedEncoding && this.answer.rawTrailers.length > 0) this.response.addTrailers(trailersToSend(this.answer.rawTrailers));
    if (lastChunk) this.response.end(lastChunk);
    else this.response.end();
    if ((this.response.socket?.writableLength ?? 0) > 0) this.awaitReader();
  }

  /** The client is behind. Node's timer of the connection sees whether it takes anything, and goes on by itself. */
  awaitReader(): void {
    if (this.#isWatched || this.#unreadMs === Infinity) return;
    this.#isWatched = true;
    this.response.setTimeout(this.#unreadMs, () => {
      // The connection may rest as long as it is the app that has nothing to say.
      if (this.response.writableNeedDrain || (this.isEnded && !this.response.writableFinished)) this.response.destroy();
    });
  }
}

/** RFC 9112 section 6.1: what pipes has not asked for with `TE` it cannot read to the end, nor name to the client. */
function assertUnambiguous({ headers, httpVersionMajor }: IncomingMessage): void {
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') throw new Error(`an answer with the transfer coding ${coding}`);
  if (httpVersionMajor !== 1) throw new Error('an answer that is not HTTP/1');
}

function flushHead(self: AnswerRelay): void {
  if (self.isFlushed) return;
  self.isFlushed = true;
  // `flushHeaders` would write the head as UTF-8 and so change bytes beyond ASCII.
  self.response.write('', 'latin1');
}

function onData(this: IncomingMessage, chunk: Buffer): void {
  const self = (this as unknown as Tied)[relay];
  self.stats.bytesOut += chunk.length;
  notePassedBytes(chunk.length);
  // With the end known, the last chunk leaves in one write with what ends the message.
  if (this.readableLength === 0 && self.isWhole) return self.end(chunk);
  self.isFlushed = true;
  if (self.response.write(chunk)) return;
  this.pause();
  self.awaitReader();
}

function onEnd(this: IncomingMessage): void {
  // Node also ends the stream of an answer that was cut short; only a whole one may look whole to the client.
  const self = (this as unknown as Tied)[relay];
  if (self.isWhole) self.end();
}

function onDrain(this: ServerResponse): void {
  (this as unknown as Tied)[relay].answer.resume();
}
