import type { ParameterizedContext } from 'koa';
import type { Reference } from '../targets/reference.ts';

/** Where a request was sent: a platform host, or below `/__proxyapi` of a target's host. */
export type LocalPlace = { readonly kind: 'platform' } | { readonly kind: 'target'; readonly reference: Reference };

/** What the parts of the API tell each other about one request. */
export interface ApiState {
  place: LocalPlace;
  /** The caller may read the logs of the target that is spoken of, and so the private part of its errors. */
  isInsider?: boolean;
  /** The request replaces a container's configuration: one that does not get ready is then 502, not 504 (INTERFACE 4). */
  isReplacing?: boolean;
  /** The client was told to send the body that it asked leave for (`Expect: 100-continue`). */
  hasContinued?: boolean;
}

export type ApiContext = ParameterizedContext<ApiState>;
