import { PipesError, type ErrorCode } from '../core/errors.ts';

/** What docker-modem throws: a socket's error, or an answer outside the expected ones. */
interface EngineFailure {
  readonly code?: string;
  readonly statusCode?: number;
  readonly message: string;
  readonly json?: unknown;
}

/** HTTP status of the engine's answer; undefined when there was none. */
export function engineStatus(thrown: unknown): number | undefined {
  return (thrown as Partial<EngineFailure> | null | undefined)?.statusCode;
}

/** What the engine says went wrong, in its own words, without what docker-modem puts around them. */
export function engineText(thrown: unknown): string {
  const failure = thrown as Partial<EngineFailure> | null | undefined;
  const said = (failure?.json as { message?: unknown } | null | undefined)?.message;
  if (typeof said === 'string') return said.trim();
  return (failure?.message ?? String(thrown)).replace(/^\(HTTP code \d+\) [^-]* - /, '').trim();
}

/** True when the engine could not be spoken with at all, so that nothing is known of what it did. */
export function isUnreachable(thrown: unknown): boolean {
  const failure = thrown as Partial<EngineFailure> | null | undefined;
  if (failure?.statusCode !== undefined) return false;
  const code = failure?.code ?? '';
  return SOCKET_CODES.has(code) || NO_HTTP.test(code) || SOCKET_TEXTS.test(failure?.message ?? '');
}

function isOutOfDescriptors(thrown: unknown): boolean {
  const { code } = thrown as Partial<EngineFailure>;
  return code === 'EMFILE' || code === 'ENFILE';
}

/** Anything that a call to the engine threw, as the one error type. The first row that fits decides. */
export function engineError(thrown: unknown, engine: string): PipesError {
  if (thrown instanceof PipesError) return thrown;
  if (isUnreachable(thrown)) return new PipesError('engine_unavailable', `The container engine at ${engine} cannot be reached${isOutOfDescriptors(thrown) ? ', for too many connections are open (ulimit -n)' : ''}.`, { cause: thrown });
  const known = knownWords(thrown, engine);
  if (known) return known;
  const text = engineText(thrown);
  // A bad request is a mistake of ours; whatever else an engine says, it is not in order.
  const status = engineStatus(thrown);
  if (status !== undefined && status !== 400) return new PipesError('engine_unavailable', 'The container engine did not do what pipes asked of it.', { cause: thrown, privateDetail: [text] });
  return new PipesError('internal', 'The container engine refused what pipes asked of it; the log says what.', { cause: thrown, privateDetail: [text] });
}

/** As `engineError`, for pulls: here the same words often come from a registry behind the engine. */
export function pullError(thrown: unknown, engine: string, image: string): PipesError {
  if (thrown instanceof PipesError) return thrown;
  if (isUnreachable(thrown)) return engineError(thrown, engine);
  const text = engineText(thrown);
  const row = PULL_ROWS.find(({ pattern }) => pattern.test(text));
  if (row) return new PipesError(row.code, `${row.message} (${image}).`, { cause: thrown, privateDetail: [text] });
  if (engineStatus(thrown) === 404) return new PipesError('image_not_found', `There is no such image (${image}).`, { cause: thrown, privateDetail: [text] });
  return knownWords(thrown, engine) ?? new PipesError('registry_unavailable', `The image could not be pulled (${image}).`, { cause: thrown, privateDetail: [text] });
}

function knownWords(thrown: unknown, engine: string): PipesError | undefined {
  const text = engineText(thrown);
  const row = ROWS.find(({ pattern }) => pattern.test(text));
  if (row) return new PipesError(row.code, row.message, { cause: thrown, privateDetail: [text] });
  if (!GATEWAY.has(engineStatus(thrown) ?? 0)) return undefined;
  return new PipesError('engine_unavailable', `The container engine at ${engine} does not answer.`, { cause: thrown, privateDetail: [text] });
}

const SOCKET_CODES = new Set(['ENOENT', 'ECONNREFUSED', 'EACCES', 'EPERM', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ENOTSOCK', 'ENOTDIR', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO', 'ECONNABORTED', 'ENOTCONN', 'EHOSTDOWN', 'ENETDOWN', 'EMFILE', 'ENFILE', 'ENAMETOOLONG', 'ELOOP']);
/** Something answers there, and it does not speak HTTP: codes of Node's parser. */
const NO_HTTP = /^HPE_/;
/** What stands before an engine says so when nothing answers behind it. */
const GATEWAY: ReadonlySet<number> = new Set([502, 503, 504]);
const SOCKET_TEXTS = /socket hang up|^aborted$|The operation was aborted|premature close/i;

interface Row {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly message: string;
}

const DISK_FULL: Row = { pattern: /no space left on device|disk quota exceeded/i, code: 'disk_full', message: 'The disk of the container engine is full' };

/** The words of Docker 20.10 to 28 and of runc. */
const ROWS: readonly Row[] = [
  { ...DISK_FULL, message: `${DISK_FULL.message}.` },
  { pattern: /no such image/i, code: 'image_not_found', message: 'The image is not in the container engine any more.' },
  { pattern: /no command specified|no entrypoint/i, code: 'image_unusable', message: 'The image says no command to run; give it one in its configuration.' },
  { pattern: /exec format error|platform .*does not match|does not match the (?:specified|detected) .*platform/i, code: 'image_unusable', message: 'The image is made for another kind of machine.' },
  { pattern: /executable file not found|no such file or directory: unknown|stat .*: no such file or directory|permission denied: unknown|is a directory: unknown/i, code: 'image_unusable', message: 'The image cannot run its command: there is no such program in it, or it may not be executed.' },
  { pattern: /unable to find (?:user|group)|no matching entries in passwd/i, code: 'image_unusable', message: 'The image does not have the user it is to run as.' },
  { pattern: /bind source path does not exist|invalid mount config|invalid volume|error while mounting volume|Duplicate mount point/i, code: 'image_unusable', message: 'A volume of the configuration cannot be mounted.' },
  { pattern: /range of cpus is|minimum memory limit|invalid value .*(?:memory|cpu)|pids limit/i, code: 'image_unusable', message: 'The engine cannot give the container the cpus or memory of its configuration.' },
  { pattern: /oci runtime create failed|failed to create (?:shim|task)|cannot run executable/i, code: 'image_unusable', message: 'The engine could not start the image.' },
  { pattern: /network .*not found|could not find bridge|is ambiguous/i, code: 'engine_unavailable', message: 'A network that the container needs is not in the engine any more.' },
  { pattern: /context (?:deadline exceeded|canceled)|(?:daemon|server) is shutting down|error while dialing|cannot connect to the docker daemon|containerd.*(?:connection refused|unavailable|closing)|transport is closing/i, code: 'engine_unavailable', message: 'The container engine has trouble of its own.' },
];

const PULL_ROWS: readonly Row[] = [
  DISK_FULL,
  { pattern: /no matching manifest for|image operating system .* cannot be used|unsupported (?:manifest )?media type|does not match the specified platform|not supported by this (?:daemon|engine)/i, code: 'image_unusable', message: 'The image is made for another kind of machine' },
  { pattern: /toomanyrequests|too many requests|rate limit/i, code: 'registry_unavailable', message: 'The registry answers no more requests for now' },
  { pattern: /manifest .*unknown|name unknown|manifest for .* not found|repository .* not found|: not found$/i, code: 'image_not_found', message: 'There is no such image' },
  { pattern: /unauthorized|authentication required|no basic auth credentials|incorrect username or password|denied|forbidden/i, code: 'registry_denied', message: 'The registry refuses access with the login that pipes has for it' },
  { pattern: /dial tcp|no such host|connection refused|connection reset|timeout|deadline exceeded|\bEOF\b|tls|x509|server gave HTTP response|received unexpected HTTP status|network is unreachable|no route to host|proxyconnect/i, code: 'registry_unavailable', message: 'The registry cannot be reached' },
];
