import type { IncomingMessage, ServerResponse } from 'node:http';
import { PipesError } from '../core/errors.ts';
import type { WakeProgress } from '../instances/wake-progress.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import { sendError } from './pages.ts';
import { wakeMessage } from './wake-message.ts';
import type { Waker } from './waker.ts';

/** Where a target's host tells how its wake goes on. */
export const WAKE_EVENTS_PATH = '/__proxyapi/wake';

/**
 * `GET /__proxyapi/wake`: how the wake of a target goes on, as Server-Sent Events (HTML Living Standard, 9.2) for the waiting
 * page. Starts nothing, and tells nothing that the error answer would not. Ends with `ready` or `failed`.
 */
export class WakeEvents {
  readonly #waker: Waker;
  /** Streams by target, those that have any. */
  readonly #open = new Map<string, number>();
  #openInAll = 0;

  constructor(waker: Waker) {
    this.#waker = waker;
  }

  serve(request: IncomingMessage, response: ServerResponse, reference: Reference): void {
    if (request.method !== 'GET') {
      response.setHeader('Allow', 'GET');
      return sendError(request, response, new PipesError('method_not_allowed', 'The events of a wake can only be read.'));
    }
    const key = printReference(reference);
    if (this.#openInAll >= MOST_STREAMS || (this.#open.get(key) ?? 0) >= MOST_STREAMS_OF_ONE) {
      return sendError(request, response, new PipesError('queue_full', 'Too many are watching this wake; try again in a moment.'));
    }
    this.#count(key, 1);
    response.once('close', () => this.#count(key, -1));
    new Stream(response, (listener) => this.#waker.watch(reference, listener)).start();
  }

  #count(key: string, change: 1 | -1): void {
    const open = (this.#open.get(key) ?? 0) + change;
    if (open === 0) this.#open.delete(key);
    else this.#open.set(key, open);
    this.#openInAll += change;
  }
}

/** A progress as visitors may see it: one JSON document. */
export function printProgress(progress: WakeProgress): string {
  return JSON.stringify(wakeMessage(progress));
}

/** All targets together; each is a connection that only waits. */
const MOST_STREAMS = 1_000;
/** Of one target, so that the visitors of one cannot take the places of all. */
export const MOST_STREAMS_OF_ONE = 100;
/** A pull tells of every few kilobytes; eyes need less. */
const LEAST_GAP_MS = 100;
/** Proxies on the way cut what is silent, commonly after 60 s. */
const HEARTBEAT_MS = 15_000;
/** How soon the browser asks again after the stream broke. */
const RETRY_MS = 1_000;

/** One client's stream: the newest progress, at most every tenth of a second, and the last one always. */
class Stream {
  readonly #response: ServerResponse;
  readonly #watch: (listener: (progress: WakeProgress) => void) => () => void;
  #unwatch: () => void = () => undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #gap: NodeJS.Timeout | undefined;
  #newest: WakeProgress | undefined;
  #isOver = false;

  constructor(response: ServerResponse, watch: (listener: (progress: WakeProgress) => void) => () => void) {
    this.#response = response;
    this.#watch = watch;
  }

  start(): void {
    this.#response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no', 'X-Content-Type-Options': 'nosniff' });
    this.#response.write(`retry: ${RETRY_MS}\n\n`);
    this.#response.once('close', () => this.#end());
    this.#response.on('drain', () => {
      if (this.#gap === undefined) this.#flush();
    });
    this.#heartbeat = setInterval(() => this.#response.write(':\n\n'), HEARTBEAT_MS);
    const unwatch = this.#watch((progress) => this.#tell(progress));
    // Being told where it stands may already have been the end.
    if (this.#isOver) unwatch();
    else this.#unwatch = unwatch;
  }

  #tell(progress: WakeProgress): void {
    if (this.#isOver) return;
    this.#newest = progress;
    if (progress.phase === 'ready' || progress.phase === 'failed') {
      this.#write(progress);
      this.#response.end();
      return this.#end();
    }
    if (this.#gap === undefined) this.#flush();
  }

  #flush(): void {
    const newest = this.#newest;
    // Who reads slowly gets the newest when there is room again (`drain`), not everything that was.
    if (newest === undefined || this.#response.writableNeedDrain) return;
    this.#newest = undefined;
    this.#write(newest);
    this.#gap = setTimeout(() => {
      this.#gap = undefined;
      this.#flush();
    }, LEAST_GAP_MS);
  }

  #write(progress: WakeProgress): void {
    this.#response.write(`data: ${printProgress(progress)}\n\n`);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#gap);
    this.#unwatch();
  }
}
