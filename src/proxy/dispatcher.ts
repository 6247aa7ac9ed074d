import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { asPipesError, PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { RequestTally } from '../core/request-tally.ts';
import type { Run } from '../instances/run.ts';
import type { WakeProgress } from '../instances/wake-progress.ts';
import type { GuardedAccess } from '../security/proxy/access.ts';
import type { GivenAnswer } from '../security/proxy/forward-auth.ts';
import type { Admission } from '../security/proxy/visitors.ts';
import { clientOf } from './client-of.ts';
import { CLIENT_GONE, type Door } from './door.ts';
import { newForwardStats, type ForwardContext, type ForwardStats } from './forward-context.ts';
import type { ForwardEnd } from './forward.ts';
import type { Forwarder } from './forwarder.ts';
import { sendGivenAnswer, sendGivenAnswerOnSocket } from './given-answer.ts';
import type { HostCache, KnownHost } from './host-cache.ts';
import type { LocalHandler, LocalPlace } from './local-handler.ts';
import { PAGE_SHOWN, PageTurns } from './page-turn.ts';
import { sendError, sendErrorOnSocket, sendWaitingPage } from './pages.ts';
import type { QuietRules } from './quiet.ts';
import { requestIdOf } from './request-id.ts';
import { refuseConnection } from './refused-connection.ts';
import { hostOf, isLocal, pathOf } from './request-target.ts';
import { WAKE_EVENTS_PATH, WakeEvents } from './wake-events.ts';
import type { Waker } from './waker.ts';

export interface DispatcherOptions {
  readonly hosts: HostCache;
  readonly door: Door;
  readonly waker: Waker;
  readonly forwarder: Forwarder;
  readonly local: LocalHandler;
  readonly log: Log;
  readonly tally: RequestTally;
  /** Whether an address is a proxy of ours whose `X-Forwarded-*` is believed. */
  readonly isTrusted: (address: string) => boolean;
  /** How long a request may wait for its target in all. */
  readonly holdTimeoutMs: number;
  /** How long a refused connection is tried again while the engine says that the container runs. */
  readonly refusedGraceMs: number;
  /** How long a page load is held before it is shown the waiting page (`WAIT_PAGE_AFTER`). */
  readonly pageAfterMs: number;
  readonly quiet: QuietRules;
}

type Target = Extract<KnownHost, { kind: 'reference' }>;

/** One request or upgrade, in whatever way it can be forwarded and answered. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly isUpgrade: boolean;
  /** Settles when the client is gone, whatever carried it. */
  readonly gone: (listener: () => void) => void;
  readonly isGone: () => boolean;
  readonly forward: (run: Run, context: ForwardContext) => Promise<ForwardEnd>;
  readonly refuse: (error: PipesError) => void;
  /** Answers with what the service said that decides who may visit. */
  readonly answer: (answer: GivenAnswer) => void;
  /** Shows a page that waits, with that status; undefined where nobody could see one. */
  readonly showPage: ((progress: WakeProgress, status: number) => void) | undefined;
  /** It must not wake what sleeps, nor keep awake what runs. */
  readonly isQuiet: boolean;
}

/** Sends each request where its host and path say: to pipes' own handlers, or through its target's run. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #wakeEvents: WakeEvents;
  readonly #pageTurns: PageTurns;
  #open = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#wakeEvents = new WakeEvents(options.waker);
    this.#pageTurns = new PageTurns(options.waker, options.pageAfterMs);
  }

  /** Requests and upgraded connections that are not over. */
  get open(): number {
    return this.#open;
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    const refuse = (error: PipesError): void => (endsConnection(error) ? refuseConnection(request, request.socket, error) : sendError(request, response, error));
    const host = this.#locate(request, refuse);
    if (host === undefined) return;
    const place = placeOf(host, request.url!);
    if (place) {
      if (place.kind === 'target' && pathOf(request.url!) === WAKE_EVENTS_PATH) {
        void this.#tellWake(request, response, host as Target);
        return;
      }
      this.#logLocal(request, response, place);
      return this.#options.local.request(request, response, place);
    }
    void this.#exchange(host as Target, {
      request,
      isUpgrade: false,
      gone: (listener) => response.once('close', listener),
      isGone: () => response.destroyed,
      forward: (run, context) => this.#options.forwarder.request(request, response, run.upstream, context),
      refuse,
      answer: (answer) => sendGivenAnswer(request, response, answer),
      showPage: (progress, status) => sendWaitingPage(response, (host as Target).key, progress, status),
      isQuiet: this.#options.quiet.match(request.url!, request.headers['user-agent']),
    });
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node leaves an upgraded socket without any listener, and a reset while its target wakes must not end the process.
    socket.on('error', () => undefined);
    const refuse = (error: PipesError): void => sendErrorOnSocket(request, socket, error);
    const host = this.#locate(request, refuse);
    if (host === undefined) return;
    const place = placeOf(host, request.url!);
    if (place) return this.#options.local.upgrade(request, socket, head, place);
    void this.#exchange(host as Target, {
      request,
      isUpgrade: true,
      gone: (listener) => socket.once('close', listener),
      isGone: () => socket.destroyed,
      forward: (run, context) => this.#options.forwarder.upgrade(request, socket, head, run.upstream, context),
      refuse,
      answer: (answer) => sendGivenAnswerOnSocket(socket, answer),
      showPage: undefined,
      isQuiet: false,
    });
  }

  /** Of a target that may not run, or whose visitor may not see it, nothing is told but that. */
  async #tellWake(request: IncomingMessage, response: ServerResponse, { reference, access }: Target): Promise<void> {
    try {
      if (access !== 'public') {
        const requestId = requestIdOf(request, this.#options.isTrusted(request.socket.remoteAddress ?? ''));
        const admission = await this.#options.door.admit(access, reference, request, requestId, (listener) => response.once('close', listener));
        if ('answer' in admission) { sendGivenAnswer(request, response, admission.answer); return; }
      }
      this.#options.waker.assertMayRun(reference);
    } catch (thrown) {
      if (thrown !== CLIENT_GONE) sendError(request, response, asPipesError(thrown));
      return;
    }
    this.#wakeEvents.serve(request, response, reference);
  }

  /** What the request's host names; undefined when it was refused. */
  #locate(request: IncomingMessage, refuse: (error: PipesError) => void): KnownHost | undefined {
    try {
      const host = this.#options.hosts.lookUp(hostOf(request));
      if (host.kind === 'address' && pathOf(request.url!) !== HEALTH_PATH) {
        throw new PipesError('host_unknown', 'An IP address names nothing to run; ask for a host such as <tag>.<repo>.<user>.<base>.');
      }
      return host;
    } catch (thrown) {
      const error = asPipesError(thrown);
      this.#options.log.info({ host: request.headers.host?.slice(0, 300), method: request.method, status: error.status, code: error.code }, 'refused');
      this.#options.tally.failed(error.code);
      refuse(error);
      return undefined;
    }
  }

  async #exchange(target: Target, exchange: Exchange): Promise<void> {
    const startedMs = performance.now();
    const stats = newForwardStats();
    const record: AccessRecord = { wakeMs: 0, run: undefined };
    const requestId = requestIdOf(exchange.request, this.#options.isTrusted(exchange.request.socket.remoteAddress ?? ''));
    this.#open += 1;
    try {
      const admission = target.access === 'public' ? undefined : await this.#admit(target.access, target, exchange, requestId);
      if (admission !== undefined && !('entry' in admission)) {
        this.#logEnd(target, exchange, requestId, startedMs, stats, record, admission.end);
        return;
      }
      const end = await this.#forward(target, exchange, { requestId, mayRetry: true, stats, entry: admission?.entry }, record);
      this.#logEnd(target, exchange, requestId, startedMs, stats, record, end);
      if (end.kind === 'failed') exchange.refuse(end.error);
    } catch (thrown) {
      if (thrown === PAGE_SHOWN) {
        this.#logEnd(target, exchange, requestId, startedMs, stats, record, { kind: 'answered', status: WAITING_STATUS });
        return;
      }
      const error = asPipesError(thrown);
      this.#logEnd(target, exchange, requestId, startedMs, stats, record, { kind: 'failed', error, replayable: false });
      // A failure that another try may mend is shown with the time until then; the page tries again by itself.
      if (exchange.showPage && error.retryAfterS !== undefined && !exchange.isQuiet && this.#pageTurns.mayShow(target, exchange.request)) exchange.showPage({ phase: 'failed', error }, error.status);
      else exchange.refuse(error);
    } finally {
      this.#open -= 1;
    }
  }

  /** Lets the visitor in, or gives how the exchange ended that was answered here. Never rejects. */
  async #admit(access: GuardedAccess, target: Target, exchange: Exchange, requestId: string): Promise<Extract<Admission, { entry: unknown }> | { readonly end: ForwardEnd }> {
    try {
      const admission = await this.#options.door.admit(access, target.reference, exchange.request, requestId, exchange.gone);
      if ('entry' in admission) return admission;
      exchange.answer(admission.answer);
      return { end: { kind: 'answered', status: admission.answer.status } };
    } catch (thrown) {
      if (thrown === CLIENT_GONE) return { end: { kind: 'aborted', status: undefined } };
      const error = asPipesError(thrown);
      exchange.refuse(error);
      return { end: { kind: 'failed', error, replayable: false } };
    }
  }

  /**
   * Forwards to the target's run. A connection that is refused may mean that the container died or moved a moment ago, so the
   * engine is asked and the request goes where it says; what can be replayed is never lost to a stop behind our back.
   */
  async #forward(target: Target, exchange: Exchange, context: ForwardContext, record: AccessRecord): Promise<ForwardEnd> {
    let run = this.#options.waker.tryLease(target.key) ?? (await this.#wake(target, exchange, record));
    let giveUpAtMs = 0;
    for (let attempt = 0; ; attempt += 1) {
      if (run === undefined) return { kind: 'aborted', status: undefined };
      record.run = run;
      const end = await forwardOnce(run, exchange, context);
      if (end.kind !== 'failed' || !end.replayable) return end;
      const before: Run = run;
      this.#options.waker.distrust(before);
      if (attempt > 0) await delay(Math.min(50 * 2 ** attempt, 400));
      run = await this.#wake(target, exchange, record);
      if (run !== before) continue;
      giveUpAtMs ||= performance.now() + this.#options.refusedGraceMs;
      if (performance.now() < giveUpAtMs && this.#options.waker.isEngineUp) continue;
      run.release(exchange.isQuiet);
      return this.#options.waker.isEngineUp ? end : { ...end, error: engineAway(end.error) };
    }
  }

  /** Waits for a run; undefined when the client left first. Throws `PAGE_SHOWN` once the client has the waiting page instead. */
  async #wake(target: Target, exchange: Exchange, record: AccessRecord): Promise<Run | undefined> {
    const { waker, isTrusted, holdTimeoutMs } = this.#options;
    if (exchange.isGone()) return undefined;
    if (exchange.isQuiet && !waker.isUp(target.key)) throw new PipesError('target_asleep', 'This target sleeps; requests like this one do not wake it (QUIET).', { retryAfterS: QUIET_RETRY_S });
    const startedMs = performance.now();
    const leaving = new AbortController();
    const timer = setTimeout(() => leaving.abort(new PipesError('instance_not_ready', 'The target did not come up in time; try again.')), holdTimeoutMs);
    const lease = waker.lease(target.reference, clientOf(exchange.request, isTrusted), leaving.signal).finally(() => clearTimeout(timer));
    const { showPage } = exchange;
    const page = showPage && this.#pageTurns.begin(target, exchange.request, lease, (progress) => showPage(progress, WAITING_STATUS));
    exchange.gone(() => {
      if (page?.isShown !== true) leaving.abort(CLIENT_LEFT);
    });
    try {
      return await (page === undefined ? lease : Promise.race([lease, page.shown]));
    } catch (thrown) {
      if (thrown === CLIENT_LEFT) return undefined;
      throw thrown;
    } finally {
      page?.cancel();
      record.wakeMs += performance.now() - startedMs;
    }
  }

  #logEnd(target: Target, { request, isUpgrade }: Exchange, id: string, startedMs: number, stats: ForwardStats, record: AccessRecord, end: ForwardEnd): void {
    const { log, tally } = this.#options;
    const { run, wakeMs } = record;
    const durationMs = performance.now() - startedMs;
    const status = end.kind === 'failed' ? end.error.status : end.status;
    tally.ended(request.method, isUpgrade, status, durationMs, stats.bytesIn, stats.bytesOut);
    if ('error' in end) tally.failed(end.error.code);
    const line = {
      id,
      ref: target.key,
      method: request.method,
      path: pathOf(request.url!),
      upstream: run && `${run.upstream.host}:${run.upstream.port}`,
      status: status ?? 499,
      end: end.kind,
      code: 'error' in end ? end.error.code : undefined,
      ms: round(durationMs),
      wakeMs: wakeMs === 0 ? undefined : round(wakeMs),
      bytesIn: stats.bytesIn,
      bytesOut: stats.bytesOut,
    };
    if (end.kind !== 'failed' || !TOLD_WITH_CAUSE.has(end.error.code)) return log.info(line, 'request');
    log.error({ ...line, err: end.error.cause ?? end.error }, 'request');
  }

  #logLocal(request: IncomingMessage, response: ServerResponse, place: LocalPlace): void {
    const startedMs = performance.now();
    const { method } = request;
    const path = pathOf(request.url!);
    response.once('close', () => {
      this.#options.log.info({ place: place.kind, method, path, status: response.statusCode, ms: round(performance.now() - startedMs) }, 'local');
    });
  }
}

interface AccessRecord {
  wakeMs: number;
  run: Run | undefined;
}

const HEALTH_PATH = '/health';

/** RFC 9110, 15.6.4: cannot now, can soon; no crawler takes the page for the app. */
const WAITING_STATUS = 503;

/** Whoever checks often enough to be quiet comes again by itself. */
const QUIET_RETRY_S = 60;

/** Failures that only the operator can mend, and only with what is underneath. */
const TOLD_WITH_CAUSE: ReadonlySet<string> = new Set(['internal', 'access_unavailable']);

/** What is faulty or half there leaves nothing on its connection that could be trusted. */
function endsConnection({ code }: PipesError): boolean {
  return code === 'invalid_request' || code === 'host_malformed' || code === 'request_timeout';
}

const CLIENT_LEFT = new Error('the client left');

async function forwardOnce(run: Run, exchange: Exchange, context: ForwardContext): Promise<ForwardEnd> {
  try {
    return await exchange.forward(run, context);
  } finally {
    run.release(exchange.isQuiet);
  }
}

function placeOf(host: KnownHost, url: string): LocalPlace | undefined {
  if (host.kind !== 'reference') return { kind: 'platform' };
  return isLocal(url) ? { kind: 'target', reference: host.reference } : undefined;
}

function engineAway(error: PipesError): PipesError {
  return new PipesError('engine_unavailable', 'The container cannot be reached, and the container engine does not answer; try again in a moment.', { cause: error });
}

function round(durationMs: number): number {
  return Math.round(durationMs * 10) / 10;
}
