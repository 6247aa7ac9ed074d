import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Log } from '../core/log.ts';
import type { BackendListener } from '../instances/backend.ts';
import type { EngineClient } from './client.ts';
import { jsonLines } from './json-lines.ts';

/** As much as is read of a document of the engine's event stream (Docker Engine API, `GET /events`). */
const EngineEvent = z.object({ Action: z.string(), Actor: z.object({ ID: z.string() }) });

type Change = Parameters<BackendListener['changed']>[1];

const CHANGES: ReadonlyMap<string, Change> = new Map([['start', 'started'], ['die', 'died'], ['pause', 'paused'], ['unpause', 'unpaused'], ['destroy', 'removed']]);

/** Told before a `die` that somebody asked for. */
const KILL = 'kill';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
const STEADY_AFTER_MS = 5_000;

/**
 * Follows the engine's events until stopped, and connects again whenever the stream ends. `restored` is told at each
 * connection, also at the first: what happened before it may have gone unheard. `lost` is told once per loss, also when the
 * first connection fails.
 */
export function followEvents(client: EngineClient, listener: BackendListener, log: Log): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const done = follow(client, listener, log, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

async function follow(client: EngineClient, listener: BackendListener, log: Log, signal: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  let isLost = false;
  while (!signal.aborted) {
    let heardSinceMs = Infinity;
    try {
      await listen(client, listener, signal, () => {
        if (isLost) log.info('the engine tells its events again');
        heardSinceMs = performance.now();
        isLost = false;
      });
      throw new Error('the engine ended the stream');
    } catch (error) {
      if (isStopped(signal)) return;
      if (!isLost) {
        log.warn({ err: error }, 'the events of the engine were lost; connecting again');
        isLost = true;
        listener.lost();
      }
    }
    // What takes connections and then breaks off or talks nonsense is no better than what takes none.
    if (performance.now() - heardSinceMs >= STEADY_AFTER_MS) pauseMs = FIRST_PAUSE_MS;
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Resolves when the stream ends; rejects when it breaks. */
async function listen(client: EngineClient, listener: BackendListener, signal: AbortSignal, onConnected: () => void): Promise<void> {
  const filters = { type: ['container'], event: [...CHANGES.keys(), KILL] };
  const stream = await client.stream({ method: 'GET', path: '/events', query: { filters }, timeoutMs: CONNECT_TIMEOUT_MS, signal });
  // Over TCP a peer that vanished would never be noticed otherwise.
  stream.socket.setKeepAlive(true, KEEP_ALIVE_MS);
  onConnected();
  listener.restored();
  const killed = new Set<string>();
  for await (const document of jsonLines(stream)) {
    const event = EngineEvent.safeParse(document);
    if (!event.success) continue;
    const { Action: action, Actor: { ID: id } } = event.data;
    if (action === KILL) killed.add(id);
    const change = CHANGES.get(action);
    if (change === undefined) continue;
    // A signal need not kill, so it is forgotten at the next start.
    const wasKilled = change !== 'paused' && change !== 'unpaused' && killed.delete(id);
    listener.changed(id, change === 'died' && !wasKilled ? 'crashed' : change);
  }
}

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

/** Asked anew: TypeScript believes that what was false before an await still is. */
function isStopped(signal: AbortSignal): boolean {
  return signal.aborted;
}
