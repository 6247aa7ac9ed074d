import type Router from '@koa/router';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Health } from './contract/health.ts';

/** How this pipes does; told to everybody, so its reasons name no targets. */
export interface HealthSource {
  health(): Health;
}

/** `/` says what this is, `/health` whether it can forward. Neither needs a token. */
export function routePlatform(router: Router<ApiState>, version: string, source: HealthSource): void {
  router.get('/', (ctx: ApiContext) => {
    ctx.body = `pipes ${version}\n`;
  });

  router.get('/health', (ctx: ApiContext) => {
    const health = source.health();
    const forwards = health.status === 'ok' || health.status === 'degraded';
    if (!forwards) ctx.set('Retry-After', '5');
    ctx.status = forwards ? 200 : 503;
    ctx.body = health;
  });
}
