import { PipesError } from '../core/errors.ts';
import type { Upstream } from '../instances/upstream.ts';

/** What became of an attempt that no answer came from. */
export interface UpstreamFailure {
  readonly error: PipesError;
  /** False when the connection itself was refused or never stood: then nothing was sent. */
  readonly hasConnected: boolean;
}

/** Names a socket's or Node's error; undefined stands for a connection that closed without one. */
export function upstreamError(upstream: Upstream, failure: Error | undefined): UpstreamFailure {
  const address = `port ${upstream.port}`;
  if (failure !== undefined && isConnectError(failure)) {
    // The container is not to blame: pipes itself has no descriptor left.
    if ('code' in failure && (failure.code === 'EMFILE' || failure.code === 'ENFILE')) return { hasConnected: false, error: new PipesError('queue_full', 'Too many connections are open (ulimit -n); try again in a moment.', { cause: failure }) };
    return { hasConnected: false, error: new PipesError('upstream_unreachable', `Nothing in the container took the connection at ${address}.`, { cause: failure }) };
  }
  return { hasConnected: true, error: new PipesError('upstream_failed', explain(failure), { cause: failure }) };
}

function isConnectError(failure: Error): boolean {
  return 'syscall' in failure && (failure.syscall === 'connect' || failure.syscall === 'getaddrinfo');
}

function explain(failure: Error | undefined): string {
  const code = failure !== undefined && 'code' in failure ? String(failure.code) : '';
  if (code === 'HPE_HEADER_OVERFLOW') return 'The headers of the container\'s answer are too large.';
  if (code.startsWith('HPE_')) return 'The container\'s answer is not HTTP.';
  return 'The container closed the connection before it answered.';
}
