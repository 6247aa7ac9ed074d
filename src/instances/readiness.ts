import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Upstream } from './upstream.ts';

export interface ReadinessProbe {
  /** Asked after the port answers, when set: any status below 500 is alive, so a 401 or a 404 is. */
  readonly path: string | undefined;
  /**
   * True where something else accepts connections before the container listens (Docker's port proxy). Then a connection that is
   * closed again without data within a moment does not count.
   */
  readonly acceptsBeforeReady: boolean;
}

/**
 * Resolves as soon as the very address that will be dialled takes connections, and the path answers if there is one.
 * Rejects with the signal's reason when that fires first; there is no other deadline.
 */
export async function untilReady(upstream: Upstream, probe: ReadinessProbe, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted();
    if (await isReady(upstream, probe, signal)) return;
    await delay(PAUSES_MS[attempt] ?? LAST_PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Whether the address takes a connection now: not after the packet that asks for one was sent again, which TCP does after a second (RFC 6298). */
export function takesConnectionAtOnce(upstream: Upstream, acceptsBeforeReady: boolean): Promise<boolean> {
  return takesConnections(upstream, acceptsBeforeReady, AbortSignal.timeout(AT_ONCE_MS));
}

const AT_ONCE_MS = 500;

/** A small server listens within milliseconds of its start, and its visitor waits: look often at first, then spare the CPU. */
const PAUSES_MS = [1, 1, 1, 2, 2, 2, 4, 4, 8, 8, 16, 16, 32];
const LAST_PAUSE_MS = 50;

/** How long one look may take; a host that swallows packets would otherwise hold the probe for minutes. */
const LOOK_TIMEOUT_MS = 2_000;

/** How soon Docker's port proxy has closed a connection that it could not pass on: within a millisecond, unless the machine is busy. */
const PORT_PROXY_GRACE_MS = 100;

async function isReady(upstream: Upstream, probe: ReadinessProbe, signal: AbortSignal): Promise<boolean> {
  // The path's answer proves more than an open port, and comes with no grace to wait for.
  if (probe.path !== undefined) return answersBelow500(upstream, probe.path, signal);
  return takesConnections(upstream, probe.acceptsBeforeReady, signal);
}

function takesConnections(upstream: Upstream, acceptsBeforeReady: boolean, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: upstream.host, port: upstream.port });
    let timer = setTimeout(() => finish(false), LOOK_TIMEOUT_MS);
    const onAbort = (): void => finish(false);
    signal.addEventListener('abort', onAbort);
    const finish = (ready: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(ready);
    };
    socket.on('error', () => finish(false));
    socket.on('connect', () => {
      if (!acceptsBeforeReady) return finish(true);
      clearTimeout(timer);
      timer = setTimeout(() => finish(true), PORT_PROXY_GRACE_MS);
      socket.on('data', () => finish(true));
      socket.on('end', () => finish(false));
      socket.on('close', () => finish(false));
    });
  });
}

function answersBelow500(upstream: Upstream, path: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({
      host: upstream.host,
      port: upstream.port,
      path,
      agent: false,
      signal,
      timeout: LOOK_TIMEOUT_MS,
      headers: { 'User-Agent': 'pipes-readiness', Connection: 'close' },
    });
    probe.on('timeout', () => probe.destroy());
    probe.on('error', () => resolve(false));
    probe.on('response', (answer) => {
      answer.resume();
      answer.on('error', () => undefined);
      resolve((answer.statusCode ?? 500) < 500);
      probe.destroy();
    });
    probe.end();
  });
}
