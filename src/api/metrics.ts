import type Router from '@koa/router';
import { PipesError } from '../core/errors.ts';
import { readsEverything } from '../security/api/scopes.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Authentication } from './authenticate.ts';

/** The metrics of this process, as Prometheus reads them; `Metrics` is it. */
export interface MetricsSource {
  readonly contentType: string;
  render(): Promise<string>;
}

/** `/metrics`: they speak of all targets together, so they are for those who may see all. */
export function routeMetrics(router: Router<ApiState>, metrics: MetricsSource, authentication: Authentication): void {
  router.get('/metrics', async (ctx: ApiContext) => {
    const caller = authentication.caller(ctx);
    if (!readsEverything(caller)) throw new PipesError('forbidden', `This needs an admin token or one with the scope read:*/*; "${caller.name}" is neither.`);
    ctx.set('Content-Type', metrics.contentType);
    ctx.body = await metrics.render();
  });
}
