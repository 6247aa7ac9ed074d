import { DurationTally } from './duration-tally.ts';
import { ERROR_TABLE, type ErrorCode } from './errors.ts';

/** Safe methods read (RFC 9110 section 9.2.1); an upgraded connection lasts as long as its two ends like. */
export const METHOD_CLASSES = ['safe', 'unsafe', 'upgrade'] as const;

/** Classes of status; `aborted` when the client left before there was one. */
export const CODE_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'aborted'] as const;

/** From one millisecond, which a warm request takes, to the minutes of a cold one. */
export const REQUEST_BOUNDS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Counts forwarded requests. On the warm path: numbers only, made before the first request. */
export class RequestTally {
  /** By method class, then by code class, in the order of the lists above. */
  readonly durations: readonly (readonly DurationTally[])[] = METHOD_CLASSES.map(() => CODE_CLASSES.map(() => new DurationTally(REQUEST_BOUNDS_S)));
  readonly failures: Record<ErrorCode, number>;
  bytesIn = 0;
  bytesOut = 0;

  constructor() {
    this.failures = Object.fromEntries(Object.keys(ERROR_TABLE).map((code) => [code, 0])) as Record<ErrorCode, number>;
  }

  /**
   * A request is over.
   * @param status that the client got; undefined when it left before
   */
  ended(method: string | undefined, isUpgrade: boolean, status: number | undefined, durationMs: number, bytesIn: number, bytesOut: number): void {
    const methodClass = isUpgrade ? 2 : isSafe(method) ? 0 : 1;
    const codeClass = status === undefined || status < 100 || status > 599 ? 5 : Math.floor(status / 100) - 1;
    this.durations[methodClass]![codeClass]!.observe(durationMs);
    this.bytesIn += bytesIn;
    this.bytesOut += bytesOut;
  }

  /** A request was refused, failed or broke off with this code. */
  failed(code: ErrorCode): void {
    this.failures[code] += 1;
  }
}

function isSafe(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE';
}
