import { request as httpRequest, type ClientRequest, type IncomingMessage, type InformationEvent, type ServerResponse } from 'node:http';
import { PipesError } from '../core/errors.ts';
import type { Upstream } from '../instances/upstream.ts';
import { AnswerRelay } from './answer-relay.ts';
import { BodyRelay } from './body-relay.ts';
import type { ForwardContext } from './forward-context.ts';
import type { ForwardEnd } from './forward.ts';
import { hasBody } from './forwarded-headers.ts';
import { isHopByHop } from './hop-by-hop.ts';
import { discardBody } from './unread-body.ts';
import { upstreamError } from './upstream-error.ts';
import { bytesSinceReuse, type UpstreamAgent } from './upstream-agent.ts';

export interface RelayTimeouts {
  /** Silence of the upstream before the head of its answer; Infinity for no limit. */
  readonly upstreamTimeoutMs: number;
  /** Silence of a client in the middle of its body; Infinity for no limit. */
  readonly bodyIdleTimeoutMs: number;
}

/** Methods that mean the same when they arrive twice (RFC 9110 section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

const relay = Symbol('requestRelay');
interface Tied {
  [relay]: RequestRelay;
}

/**
 * One request on its way to an upstream and its answer on the way back. Bodies flow in both directions at once, and nothing
 * of them is held beyond the streams' own buffers.
 *
 * Two ends are waited for: the client's response (`close`) and the upstream's request (`close`, which Node always emits). The
 * listeners are shared functions that find their relay on the emitter: a warm request makes no closures.
 */
export class RequestRelay {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly context: ForwardContext;
  readonly timeouts: RelayTimeouts;
  readonly #upstream: Upstream;
  readonly #agent: UpstreamAgent;
  readonly #headers: string[];
  readonly #hasBody: boolean;
  #settle!: (end: ForwardEnd) => void;
  #startedAtMs = 0;
  #outgoing!: ClientRequest;
  #answer: AnswerRelay | undefined;
  #body: BodyRelay | undefined;
  /** Why pipes itself ended the upstream's side. */
  #ownError: PipesError | undefined;
  #failure: Error | undefined;
  #hasRetried = false;
  #isAborted = false;
  #isClientOver = false;
  #isUpstreamOver = false;
  #isSettled = false;

  constructor(request: IncomingMessage, response: ServerResponse, upstream: Upstream, agent: UpstreamAgent, headers: string[], context: ForwardContext, timeouts: RelayTimeouts) {
    this.request = request;
    this.response = response;
    this.context = context;
    this.timeouts = timeouts;
    this.#upstream = upstream;
    this.#agent = agent;
    this.#headers = headers;
    this.#hasBody = hasBody(request);
  }

  /** Settles once, when both directions are over. Never rejects. */
  run(): Promise<ForwardEnd> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#startedAtMs = performance.now();
      if (this.response.destroyed || this.request.socket.destroyed) return resolve({ kind: 'aborted', status: undefined });
      (this.request as unknown as Tied)[relay] = this;
      (this.response as unknown as Tied)[relay] = this;
      this.response.on('close', onClientClose);
      if (!this.#isRepeatable()) this.#agent.dropStale();
      this.#send();
    });
  }

  #send(): void {
    let outgoing: ClientRequest;
    try {
      outgoing = httpRequest({
        agent: this.#agent,
        host: this.#upstream.host,
        port: this.#upstream.port,
        method: this.request.method,
        path: this.request.url,
        headers: this.#headers,
        setHost: false,
        ...(this.timeouts.upstreamTimeoutMs === Infinity ? undefined : { timeout: this.timeouts.upstreamTimeoutMs }),
      });
    } catch (error) {
      return this.#fail(new PipesError('invalid_request', 'The request cannot be sent on: its target or a header holds characters that HTTP does not allow.', { cause: error }), false);
    }
    this.#outgoing = outgoing;
    outgoing.maxHeadersCount = 0;
    (outgoing as unknown as Tied)[relay] = this;
    outgoing.on('response', onResponse);
    outgoing.on('error', onUpstreamError);
    outgoing.on('close', onUpstreamClose);
    outgoing.on('information', onInformation);
    if (this.timeouts.upstreamTimeoutMs !== Infinity) outgoing.on('timeout', onUpstreamSilence);
    if (!this.#hasBody) return void outgoing.end();
    this.#body = new BodyRelay(this.request, outgoing, this.context.stats, this.timeouts.bodyIdleTimeoutMs, this, this.context.entry?.removed);
    this.#body.attach();
  }

  bodyStalls(): void {
    if (this.response.writableEnded) return void this.request.socket.destroy();
    // With an answer on its way this may be a stream that runs in both directions; the upstream decides how long it lasts.
    if (this.#answer !== undefined) return this.#body?.waitOn();
    this.#ownError = new PipesError('request_timeout', `No byte of the request body came for ${this.timeouts.bodyIdleTimeoutMs} ms.`);
    this.#outgoing.destroy();
  }

  upstreamIsSilent(): void {
    if (this.#answer !== undefined || this.#ownError !== undefined) return;
    // Whoever waits for the client's body cannot answer yet; `bodyIdleTimeoutMs` bounds that wait.
    if (this.#body?.isClientsTurn) return;
    this.#ownError = new PipesError('upstream_timeout', `The container sent no answer for ${this.timeouts.upstreamTimeoutMs} ms.`);
    this.#outgoing.destroy();
  }

  startAnswer(outgoing: ClientRequest, message: IncomingMessage): void {
    if (outgoing !== this.#outgoing || this.#isAborted || this.#ownError) {
      message.destroy();
      return;
    }
    if (this.timeouts.upstreamTimeoutMs !== Infinity) outgoing.setTimeout(0);
    this.context.stats.ttfbMs = performance.now() - this.#startedAtMs;
    const answer = new AnswerRelay(message, this.response, this.context.stats, this.timeouts.bodyIdleTimeoutMs);
    try {
      answer.start();
    } catch (error) {
      this.#ownError = new PipesError('upstream_failed', 'The head of the container\'s answer cannot be sent on.', { cause: error });
      outgoing.destroy();
      return;
    }
    this.#answer = answer;
  }

  /** Any 1xx but 101. To an HTTP/1.0 client none is sent (RFC 9110 section 15.2). */
  inform(information: InformationEvent): void {
    if (information.statusCode === 100) this.#body?.continued();
    const { response } = this;
    if (this.request.httpVersion === '1.0' || response.headersSent || this.#isAborted) return;
    if (information.statusCode === 100) return response.writeContinue();
    // Node writes only some 1xx and only some of their fields; the bytes go before any head, so they can be written as they are.
    // A pipelined response that has no connection yet goes without: an interim answer is never needed.
    response.socket?.write(interimHead(information), 'latin1');
  }

  upstreamFailed(error: Error): void {
    this.#failure ??= error;
    this.#answer?.connectionFailed();
  }

  upstreamCloses(outgoing: ClientRequest): void {
    if (outgoing !== this.#outgoing || this.#isUpstreamOver) return;
    const answer = this.#answer;
    if (answer === undefined && !this.#isAborted && this.#mayRetry()) {
      this.#hasRetried = true;
      this.#failure = undefined;
      this.#agent.dropIdle();
      this.#send();
      return;
    }
    this.#isUpstreamOver = true;
    this.#body?.stop();
    if (answer === undefined && !this.#isAborted) return this.#failBeforeAnswer();
    if (answer !== undefined && !answer.isWhole && !this.#isClientOver) answer.cut();
    else if (this.#hasBody && !this.request.complete) this.#dropRestOfBody();
    this.#settleWhenOver();
  }

  clientCloses(): void {
    if (this.#isClientOver) return;
    this.#isClientOver = true;
    this.#isAborted = !this.response.writableFinished && !(this.#isUpstreamOver && this.#answer?.isWhole === false);
    if (this.#isAborted) {
      this.#body?.stop();
      if (!this.#isUpstreamOver) this.#outgoing.destroy();
    } else if (this.#hasBody && !this.request.complete) {
      if (this.#isUpstreamOver) this.#dropRestOfBody();
      else this.#body?.watchConnection();
    }
    this.#settleWhenOver();
  }

  /** The upstream answered and takes no more. The client keeps its time to read the answer; only then the rest is bounded. */
  #dropRestOfBody(): void {
    if (this.#isClientOver) discardBody(this.request);
    else this.request.resume();
  }

  #isRepeatable(): boolean {
    return !this.#hasBody && IDEMPOTENT.has(this.request.method!);
  }

  /** An idle connection that the upstream was closing just then: no byte of an answer came, so the request was not heard. */
  #mayRetry(): boolean {
    const outgoing = this.#outgoing;
    if (!this.#isIdleDeath(outgoing) || this.#hasRetried || !this.context.mayRetry) return false;
    return this.#isRepeatable();
  }

  #isIdleDeath(outgoing: ClientRequest): boolean {
    return this.#ownError === undefined && outgoing.reusedSocket && outgoing.socket !== null && bytesSinceReuse(outgoing.socket) === 0;
  }

  #failBeforeAnswer(): void {
    if (this.#ownError) return this.#fail(this.#ownError, false);
    const { error, hasConnected } = upstreamError(this.#upstream, this.#failure);
    const isReplayable = !hasConnected ? !this.#body?.hasBegun : this.#isRepeatable() && this.#isIdleDeath(this.#outgoing);
    this.#fail(error, isReplayable);
  }

  /** Nothing has been sent: request and response are handed back as they were, for another upstream or an error page. */
  #fail(error: PipesError, replayable: boolean): void {
    this.response.off('close', onClientClose);
    this.#body?.detach();
    this.#done({ kind: 'failed', error, replayable });
  }

  #settleWhenOver(): void {
    if (!this.#isClientOver || !this.#isUpstreamOver) return;
    const answer = this.#answer;
    if (this.#isAborted || answer === undefined) return this.#done({ kind: 'aborted', status: answer?.answer.statusCode });
    const status = answer.answer.statusCode!;
    if (answer.isWhole) return this.#done({ kind: 'answered', status });
    this.#done({ kind: 'broken', status, error: new PipesError('upstream_failed', 'The container broke off in the middle of its answer.', { cause: this.#failure }) });
  }

  #done(end: ForwardEnd): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settle(end);
  }
}

function relayOf(emitter: object): RequestRelay {
  return (emitter as Tied)[relay];
}

function onResponse(this: ClientRequest, message: IncomingMessage): void {
  relayOf(this).startAnswer(this, message);
}

function onUpstreamError(this: ClientRequest, error: Error): void {
  relayOf(this).upstreamFailed(error);
}

function onUpstreamClose(this: ClientRequest): void {
  relayOf(this).upstreamCloses(this);
}

function onInformation(this: ClientRequest, information: InformationEvent): void {
  relayOf(this).inform(information);
}

function onUpstreamSilence(this: ClientRequest): void {
  relayOf(this).upstreamIsSilent();
}

function onClientClose(this: ServerResponse): void {
  relayOf(this).clientCloses();
}

function interimHead(information: InformationEvent): string {
  let head = `HTTP/1.1 ${information.statusCode} ${information.statusMessage}\r\n`;
  const raw = information.rawHeaders;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const lower = raw[at]!.toLowerCase();
    // RFC 9110 section 8.6: no length on a 1xx; some would wait for a body.
    if (!isHopByHop(lower) && lower !== 'content-length') head += `${raw[at]!}: ${raw[at + 1]!}\r\n`;
  }
  return `${head}\r\n`;
}
