import type { PipesError } from './errors.ts';

/** The problem document of RFC 9457, with pipes' `code`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly [member: string]: unknown;
}

/**
 * An error as a problem document.
 * @param forInsiders whether the reader may see the target's logs, and so the private part of the error
 */
export function problemOf(error: PipesError, forInsiders = false): Problem {
  return {
    type: 'about:blank',
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    ...error.members,
    ...(forInsiders && error.privateDetail.length > 0 ? { lines: error.privateDetail } : {}),
  };
}

/** The headers that every answer made from an error carries, besides its content type. */
export function problemHeaders(error: PipesError): Record<string, string> {
  return {
    'Cache-Control': 'no-store',
    ...(error.retryAfterS === undefined ? {} : { 'Retry-After': String(Math.max(1, Math.ceil(error.retryAfterS))) }),
    ...(error.challenge === undefined ? {} : { 'WWW-Authenticate': error.challenge }),
  };
}
