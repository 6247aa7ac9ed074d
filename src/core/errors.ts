/**
 * The one error type of pipes, and the one table from its code to an HTTP status.
 *
 * Adapters translate what their vendor throws into a `PipesError`; whoever ends a request draws it (RFC 9457). A code is
 * part of the public interface: programs match on it, so it is never renamed.
 */
export const ERROR_TABLE = {
  // what the client asked for
  invalid_request: { status: 400, title: 'The request is not valid' },
  host_malformed: { status: 400, title: 'The host name is malformed' },
  unauthorized: { status: 401, title: 'A token or password is needed' },
  forbidden: { status: 403, title: 'The token does not reach this far' },
  domain_forbidden: { status: 403, title: 'This host name cannot be bound' },
  image_forbidden: { status: 403, title: 'This image may not run here' },
  not_found: { status: 404, title: 'There is nothing here' },
  host_unknown: { status: 404, title: 'The host name means nothing here' },
  image_not_found: { status: 404, title: 'There is no such image' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  tag_ambiguous: { status: 409, title: 'Two tags differ by case alone' },
  domain_taken: { status: 409, title: 'The host name is bound already' },
  not_managed: { status: 409, title: 'The container is not managed by pipes' },
  body_too_large: { status: 413, title: 'The request body is too large' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request headers are too large' },
  // what pipes itself met
  internal: { status: 500, title: 'An error inside pipes' },
  queue_full: { status: 503, title: 'Too much work is waiting' },
  target_asleep: { status: 503, title: 'The target sleeps, and this request does not wake it' },
  shutting_down: { status: 503, title: 'pipes is starting or stopping' },
  disk_full: { status: 507, title: 'The disk is full' },
  // what stands behind it
  access_unavailable: { status: 503, title: 'Who may visit cannot be asked' },
  registry_denied: { status: 502, title: 'The registry refused the login' },
  registry_unavailable: { status: 503, title: 'The registry cannot be reached' },
  pull_timeout: { status: 504, title: 'The pull took too long' },
  engine_unavailable: { status: 503, title: 'The container engine cannot be reached' },
  image_unusable: { status: 502, title: 'The image cannot run here' },
  instance_failed: { status: 502, title: 'The container exited while starting' },
  instance_not_ready: { status: 504, title: 'The container did not get ready' },
  upstream_unreachable: { status: 502, title: 'The container refused the connection' },
  upstream_failed: { status: 502, title: 'The container broke off' },
  upstream_timeout: { status: 504, title: 'The container did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ErrorExtras {
  /** Seconds after which another try can help; sent as `Retry-After`. */
  readonly retryAfterS?: number;
  /** How to log in, for 401: the value of `WWW-Authenticate` (RFC 9110, 11.6.1). */
  readonly challenge?: string;
  /** What went wrong underneath; logged, never shown to visitors. */
  readonly cause?: unknown;
  /** Members that the problem document carries besides the standard ones, for every reader. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Shown only to callers who may see the target's logs, such as its last output. */
  readonly privateDetail?: readonly string[];
}

/** Every failure that pipes names. `message` is one sentence for the reader that says what to do where it can. */
export class PipesError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterS: number | undefined;
  readonly challenge: string | undefined;
  readonly members: Readonly<Record<string, unknown>>;
  readonly privateDetail: readonly string[];

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'PipesError';
    this.code = code;
    this.retryAfterS = extras.retryAfterS ?? (this.status === 503 ? DEFAULT_RETRY_AFTER_S : undefined);
    this.challenge = extras.challenge;
    this.members = extras.members ?? {};
    this.privateDetail = extras.privateDetail ?? [];
  }

  get status(): number {
    return ERROR_TABLE[this.code].status;
  }

  get title(): string {
    return ERROR_TABLE[this.code].title;
  }
}

/** Every 503 carries Retry-After (INTERFACE 3); this is its value where nothing better is known. */
const DEFAULT_RETRY_AFTER_S = 5;

/** Any thrown value as a `PipesError`; what was not one becomes `internal` with the value as its cause. */
export function asPipesError(thrown: unknown): PipesError {
  if (thrown instanceof PipesError) return thrown;
  return new PipesError('internal', 'Something went wrong inside pipes; its log says what.', { cause: thrown });
}
