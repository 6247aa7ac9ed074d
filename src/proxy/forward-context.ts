import type { Entry } from '../security/proxy/visitors.ts';

/** What the access log wants of one forwarded request; filled in while it runs, final when its `ForwardEnd` is there. */
export interface ForwardStats {
  /** Body bytes taken from the client; of an upgraded connection all bytes after the head. */
  bytesIn: number;
  /** Body bytes given to the client; of an upgraded connection all bytes after the head. */
  bytesOut: number;
  /** Status of the upstream's answer; 0 until it came. */
  status: number;
  /** From the start of forwarding to the head of the upstream's answer, in milliseconds; 0 until it came. */
  ttfbMs: number;
}

export function newForwardStats(): ForwardStats {
  return { bytesIn: 0, bytesOut: 0, status: 0, ttfbMs: 0 };
}

/** What the forwarder is told about one request besides the request itself. */
export interface ForwardContext {
  /** Sent to the upstream as `X-Request-Id`; see `requestIdOf`. */
  readonly requestId: string;
  /** Whether a request that met a dying idle connection may be sent once more by the forwarder itself. */
  readonly mayRetry: boolean;
  readonly stats: ForwardStats;
  /** How its visitor was let in; undefined where everybody is. */
  readonly entry?: Entry | undefined;
}
