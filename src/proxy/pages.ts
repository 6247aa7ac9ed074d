import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { PipesError } from '../core/errors.ts';
import { problemHeaders, problemOf } from '../core/problem.ts';
import type { WakeProgress } from '../instances/wake-progress.ts';
import { errorForm, type ErrorForm } from './accept.ts';
import { ERROR_PAGE_POLICY, errorPage } from './error-page.ts';
import { waitingPage } from './waiting-page.ts';
import { sendWhole, writeWhole } from './whole-answer.ts';

export interface PageOptions {
  /** Whether the reader may see the target's logs, and so the private part of the error. */
  readonly forInsiders?: boolean;
}

/**
 * Answers a request with an error, in the form its `Accept` asks for. Where a head has gone out already nothing can be said any more: the
 * connection is cut. Where much of the request's body is still to come the connection ends after this answer, but only once
 * the client has had time to read it.
 */
export function sendError(request: IncomingMessage, response: ServerResponse, error: PipesError, options: PageOptions = {}): void {
  if (response.headersSent) {
    request.socket.destroy();
    return;
  }
  if (response.destroyed) return;
  const { headers, body } = draw(error, request.headers.accept, options);
  // After `request_timeout` the rest of the body is not to be waited for.
  sendWhole(request, response, { status: error.status, reason: STATUS_CODES[error.status] ?? 'Error', headers: Object.entries(headers).flat(), body }, error.code === 'request_timeout');
}

/**
 * The same on a bare connection, for upgrades and for what is no request at all (Node's `clientError`); the connection ends with it.
 * @param request undefined when none was understood
 */
export function sendErrorOnSocket(request: IncomingMessage | undefined, socket: Duplex, error: PipesError, options: PageOptions = {}): void {
  if (!socket.writable || hasBegunAnswer(socket)) {
    socket.destroy();
    return;
  }
  const { headers, body } = draw(error, request?.headers.accept, options);
  writeWhole(socket, { status: error.status, reason: STATUS_CODES[error.status] ?? 'Error', headers: Object.entries(headers).flat(), body }, request?.method !== 'HEAD');
}

/** The page that follows a wake and becomes the app. Its answer is an error's, so that no program takes it for the app's. */
export function sendWaitingPage(response: ServerResponse, reference: string, progress: WakeProgress, status: number): void {
  if (response.headersSent || response.destroyed) return;
  const { html, contentSecurityPolicy } = waitingPage(reference, progress);
  const retryAfterS = progress.phase === 'failed' ? progress.error.retryAfterS : undefined;
  response.writeHead(status, {
    'Content-Type': CONTENT_TYPES.html,
    'Content-Length': Buffer.byteLength(html),
    'Content-Security-Policy': contentSecurityPolicy,
    'Cache-Control': 'no-store',
    'Retry-After': String(retryAfterS ?? WAITING_RETRY_S),
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(html);
}

const WAITING_RETRY_S = 2;

const CONTENT_TYPES: Readonly<Record<ErrorForm, string>> = {
  json: 'application/problem+json',
  html: 'text/html; charset=utf-8',
  text: 'text/plain; charset=utf-8',
};

function draw(error: PipesError, accept: string | undefined, options: PageOptions): { headers: Record<string, string>; body: Buffer } {
  const form = errorForm(accept);
  const problem = problemOf(error, options.forInsiders);
  const body = Buffer.from(form === 'json' ? `${JSON.stringify(problem)}\n` : form === 'html' ? errorPage(problem) : plainText(error, options));
  const headers: Record<string, string> = {
    'Content-Type': CONTENT_TYPES[form],
    'Content-Length': String(body.length),
    Vary: 'Accept',
    'X-Content-Type-Options': 'nosniff',
    ...problemHeaders(error),
    ...(form === 'html' ? { 'Content-Security-Policy': ERROR_PAGE_POLICY } : {}),
  };
  return { headers, body };
}

function plainText(error: PipesError, options: PageOptions): string {
  const lines = options.forInsiders ? error.privateDetail.map((line) => `  ${line}\n`).join('') : '';
  return `${error.status} ${error.title} (${error.code})\n${error.message}\n${lines}`;
}

/** Node hangs the answer that is under way on its connection; bytes of another one after its head would corrupt it. */
function hasBegunAnswer(socket: Duplex): boolean {
  const current = (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage;
  return current?.headersSent === true;
}
