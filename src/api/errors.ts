import type { Next } from 'koa';
import { asPipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { problemHeaders, problemOf } from '../core/problem.ts';
import type { ApiContext } from './api-context.ts';

/** The one place of the API where failures become answers. What is pipes' own fault is logged, here and once. */
export function drawErrors(log: Log): (ctx: ApiContext, next: Next) => Promise<void> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = asPipesError(thrown);
      if (error.code === 'internal') log.error({ err: error.cause ?? error, method: ctx.method, path: ctx.path }, 'The API failed');
      const status = ctx.state.isReplacing && error.code === 'instance_not_ready' ? 502 : error.status;
      ctx.status = status;
      ctx.set(problemHeaders(error));
      ctx.set('Content-Type', 'application/problem+json');
      if (error.code === 'unauthorized') ctx.set('WWW-Authenticate', 'Bearer');
      // A body that never came to its end leaves the connection where nothing can follow.
      if (error.code === 'request_timeout') ctx.set('Connection', 'close');
      ctx.body = JSON.stringify({ ...problemOf(error, ctx.state.isInsider), status });
    }
  };
}
