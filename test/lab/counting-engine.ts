import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { labDirectory } from './lab.ts';

/**
 * How far a call has come: the engine knows nothing of it; it was handed to the engine; the engine has done it (of a stream: has begun
 * to answer), and its answer is withheld.
 */
export type Moment = 'before' | 'during' | 'after';

/** The next call of a kind, stopped at a moment of it. */
export interface Held {
  /** A call has come that far. */
  readonly reached: Promise<void>;
  /** Breaks it off, as the end of an engine does. */
  cut(): void;
  /** Hands it on, where it was stopped before that. */
  goOn(): void;
}

/** A socket that stands for an engine: passes each call on, writes it down, and breaks off on demand. */
export interface CountingEngine {
  /** For pipes, in the place of the engine's own. */
  readonly dockerHost: string;
  /** Each call so far as `GET /containers/json`: without the API's version and the query; oldest first. */
  calls(): readonly string[];
  /** Each call's address as it came, with its query. */
  urls(): readonly string[];
  /** How many calls fit. */
  count(pattern: RegExp): number;
  /** Ends every event stream, and lets none begin until `mend`; all other calls go on. */
  cutEvents(): void;
  /** Ends every call, and takes no more until `mend`: the engine is away. */
  cut(): void;
  /** From now on takes calls and neither hands them on nor answers, until `mend`. */
  mute(): void;
  mend(): void;
  /** Stops the next call that fits, and no other. */
  hold(pattern: RegExp, moment: Moment): Held;
  close(): Promise<void>;
}

/** Listens on a socket of its own in front of the engine at `dockerHost` (`unix://…`). */
export async function countCalls(dockerHost: string): Promise<CountingEngine> {
  const calls: string[] = [];
  const urls: string[] = [];
  const open = new Set<{ readonly call: string; readonly response: ServerResponse }>();
  const socketPath = join(labDirectory('counting'), 'engine.sock');
  let refused: RegExp | undefined;
  let gate: Gate | undefined;
  let muted: (() => void)[] | undefined;
  // As the engine's own server: a connection that rests is never closed.
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
    const path = new URL(request.url ?? '/', 'http://engine').pathname.replace(/^\/v[\d.]+(?=\/)/, '');
    const call = `${request.method ?? ''} ${path}`;
    calls.push(call);
    urls.push(request.url ?? '');
    if (refused?.test(call) === true) {
      request.socket.destroy();
      return;
    }
    const entry = { call, response };
    open.add(entry);
    response.once('close', () => open.delete(entry));
    const held = gate?.pattern.test(call) === true ? gate : undefined;
    if (held) gate = undefined;
    const handOn = (): void => {
      if (!response.destroyed) passOn(request, response, new URL(dockerHost).pathname, held);
    };
    held?.take(response, handOn);
    if (held?.moment === 'before') return held.reach();
    if (muted) muted.push(handOn);
    else handOn();
  });
  const refuse = (pattern: RegExp): void => {
    refused = pattern;
    for (const { call, response } of open) if (pattern.test(call)) response.socket?.destroy();
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  return {
    dockerHost: `unix://${socketPath}`,
    calls: () => calls,
    urls: () => urls,
    count: (pattern) => calls.filter((call) => pattern.test(call)).length,
    cutEvents: () => refuse(/ \/events$/),
    cut: () => refuse(/^/),
    mute: () => (muted = []),
    mend: () => {
      refused = undefined;
      for (const handOn of muted ?? []) handOn();
      muted = undefined;
    },
    hold: (pattern, moment) => (gate = new Gate(pattern, moment)),
    close: () => closed(server),
  };
}

class Gate implements Held {
  readonly reached: Promise<void>;
  reach!: () => void;
  readonly pattern: RegExp;
  readonly moment: Moment;
  #response: ServerResponse | undefined;
  #handOn: (() => void) | undefined;

  constructor(pattern: RegExp, moment: Moment) {
    this.pattern = pattern;
    this.moment = moment;
    this.reached = new Promise((resolve) => (this.reach = resolve));
  }

  take(response: ServerResponse, handOn: () => void): void {
    this.#response = response;
    this.#handOn = handOn;
  }

  goOn(): void {
    this.#handOn?.();
  }

  cut(): void {
    this.#response?.destroy();
  }
}

function passOn(request: IncomingMessage, response: ServerResponse, socketPath: string, held: Gate | undefined): void {
  const outgoing = httpRequest({ socketPath, method: request.method, path: request.url, headers: request.headers, agent: false }, (answer) => {
    if (held?.moment === 'after') {
      answer.on('error', () => undefined);
      return held.reach();
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  request.on('error', () => outgoing.destroy());
  // In one write with the head: an engine that refuses early would close while a second one is under way, and its answer be lost.
  void request.toArray().then((chunks: Buffer[]) => outgoing.end(Buffer.concat(chunks), held?.moment === 'during' ? held.reach : undefined), () => outgoing.destroy());
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
