/**
 * One thing that a client and an upstream can do to each other through pipes, as data: the bytes of both, and what each is
 * to see. All bytes are latin1 text. The cases know nothing of how pipes is built, so that every way through it can be held
 * to the same ones.
 */
export interface HttpCase {
  readonly name: string;
  /** The section that decides it. */
  readonly rfc?: string;
  /** What the client sends, as one text; a lane may cut it anywhere, and the outcome is the same. */
  readonly sends: string;
  /** What the client does after its last byte; `wait`, by default, for what comes. */
  readonly then?: 'wait' | 'half-close' | 'abort';
  /** What the upstream answers, by target; any other request is answered 200 with `<method> <target>` as its body. */
  readonly answers?: Readonly<Record<string, UpstreamAnswer>>;
  /** The answers that the client gets, in order, 1xx among them. */
  readonly gets: readonly ClientAnswer[];
  /** What becomes of its connection. A kept one is asked once more and has to give the answer to that. Kept by default. */
  readonly ends?: 'kept' | 'closed' | 'cut' | 'switched';
  /** The messages that reach the upstream, in the order of their start lines as text. */
  readonly arrives: readonly Arrival[];
  /** The fault shows after the head: of a message that broke off, as much may have arrived as came in time. */
  readonly isBodyFaulty?: true;
  readonly lane?: LaneOptions;
  /** It says something only when its bytes come at once, or takes too long otherwise. */
  readonly isWholeOnly?: true;
}

/** What a lane is set to, where a case needs another setting than the default. */
export interface LaneOptions {
  /** `TRUST_PROXY` holds the client's address. */
  readonly isTrusting?: true;
  readonly headerTimeoutMs?: number;
  readonly bodyIdleTimeoutMs?: number;
  readonly upstreamTimeoutMs?: number;
}

export type UpstreamAnswer = string | {
  readonly bytes: string;
  /** Sent as soon as the head of the request is there, instead of after its body. */
  readonly isEarly?: true;
  readonly then?: 'close' | 'reset';
  /** Sent after the client has all its answers, without having been asked for anything; pipes is to hang up. */
  readonly unasked?: string;
};

export interface ClientAnswer {
  readonly status: number;
  /** The code of the problem document that pipes answers with. */
  readonly code?: string;
  readonly body?: string;
  /** Each of these fields comes exactly so: all values in their order, joined by ` | `; `undefined` for a field that must not come. */
  readonly fields?: Readonly<Record<string, string | undefined>>;
  readonly trailers?: readonly string[];
  /** It answers a HEAD. */
  readonly isToHead?: true;
  /** False when it breaks off in the middle. */
  readonly isWhole?: false;
}

export interface Arrival {
  /** Method and target. */
  readonly line: string;
  /** The fields in their order, besides those that pipes adds; by default the one Host of `HOST`. */
  readonly fields?: readonly string[];
  /** The fields that pipes adds, where they differ from what they are by default; undefined for one that must not come. */
  readonly added?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly trailers?: readonly string[];
  /** False when it broke off in the middle, so that the upstream cannot take it for whole. */
  readonly isWhole?: false;
}

/** A host that names an app in every lane. */
export const HOST = 'app.alice.localhost';
export const HOST_FIELD = `Host: ${HOST}`;

/** A head: a start line and fields, and the empty line. */
export function head(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** A plain GET of that target. */
export function get(target: string, ...fields: readonly string[]): string {
  return head(`GET ${target} HTTP/1.1`, HOST_FIELD, ...fields);
}

/** A POST with these framing fields, and what follows them. */
export function post(target: string, fields: readonly string[], body: string): string {
  return head(`POST ${target} HTTP/1.1`, HOST_FIELD, ...fields) + body;
}

/** The answer that an upstream gives to whatever is not said otherwise. */
export function echoed(line: string): ClientAnswer {
  return { status: 200, body: line };
}

/** A request that is answered by pipes with a refusal; nothing of it arrives anywhere. */
export function refused(name: string, sends: string, more: Partial<HttpCase> & { status?: number; code?: string } = {}): HttpCase {
  const { status = 400, code = 'invalid_request', ...rest } = more;
  return { name, sends, gets: [{ status, code }], ends: 'closed', arrives: [], ...rest };
}

/** A request that arrives as that and is answered. */
export function passes(name: string, sends: string, arrival: Arrival, more: Partial<HttpCase> = {}): HttpCase {
  return { name, sends, gets: [echoed(arrival.line)], arrives: [arrival], ...more };
}
