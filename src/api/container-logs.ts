import { Readable } from 'node:stream';
import type Router from '@koa/router';
import { PipesError } from '../core/errors.ts';
import type { OutputLines } from '../instances/backend.ts';
import type { InstanceOutput } from '../instances/instance-output.ts';
import { printReference } from '../targets/reference.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import { queryCount } from './query-count.ts';
import { queryFlag } from './query-flag.ts';
import { openTarget, type TargetParts } from './target-access.ts';

/** How often a quiet stream of events says that it is still there: most proxies cut what is silent for a minute. */
const EVENT_HEARTBEAT_MS = 15_000;

/**
 * `./container/logs`: what the container writes, line by line, read no faster than the client takes it, and no longer than the token is valid. It never wakes anything.
 * To `Accept: text/event-stream` each line is an event, and an event `end` says that no more will come.
 */
export function routeContainerLogs(router: Router<ApiState>, parts: TargetParts, output: InstanceOutput): void {
  router.get('/container/logs', async (ctx: ApiContext) => {
    const { reference, repository } = openTarget(ctx, parts, 'read');
    const follow = queryFlag(ctx, 'follow', false);
    const tail = queryCount(ctx, 'tail');
    const asEvents = ctx.accepts('text/plain', 'text/event-stream') === 'text/event-stream';
    const leaving = new AbortController();
    ctx.res.once('close', () => leaving.abort());
    const lines = await output.read(reference, { follow: follow && ctx.method !== 'HEAD', tail, signal: leaving.signal });
    if (!lines) throw new PipesError('not_found', `${printReference(reference)} has no container now, so there is no output to read; a request to its host starts one.`);
    ctx.set('Vary', 'Accept');
    ctx.type = asEvents ? 'text/event-stream' : 'text/plain';
    const shown = asLongAs(() => parts.authentication.isStill(ctx, 'read', repository), lines);
    ctx.body = Readable.from(asEvents ? events(shown) : texts(shown), { objectMode: false });
    if (ctx.method === 'HEAD') {
      leaving.abort();
      return;
    }
    // A quiet program must not leave the client without an answer.
    ctx.flushHeaders();
    if (asEvents) beat(ctx);
  });
}

/** A token that ends while its client follows shows nothing more, though the connection was open before. */
async function* asLongAs(isAllowed: () => boolean, lines: OutputLines): OutputLines {
  for await (const batch of lines) {
    if (!isAllowed()) return;
    yield batch;
  }
}

async function* texts(lines: OutputLines): AsyncGenerator<string> {
  for await (const batch of lines) yield `${batch.join('\n')}\n`;
}

async function* events(lines: OutputLines): AsyncGenerator<string> {
  for await (const batch of lines) yield batch.map((line) => `data: ${line.replaceAll('\r', '\ndata: ')}\n\n`).join('');
  yield 'event: end\ndata:\n\n';
}

function beat(ctx: ApiContext): void {
  const timer = setInterval(() => {
    // Whoever does not even take what there is needs no sign of life.
    if (!ctx.res.writableNeedDrain && ctx.res.writable) ctx.res.write(':\n\n');
  }, EVENT_HEARTBEAT_MS);
  ctx.res.once('close', () => clearInterval(timer));
}
