import type Router from '@koa/router';
import type { ApiContext, ApiState } from './api-context.ts';
import { openApiDocument } from './openapi-document.ts';

/** `/openapi.json`: the description of this API. It tells nothing of what runs here, so it needs no token. */
export function routeOpenApi(router: Router<ApiState>, version: string): void {
  let text: string | undefined;
  router.get('/openapi.json', (ctx: ApiContext) => {
    text ??= JSON.stringify(openApiDocument(version), null, 2);
    ctx.type = 'application/json';
    ctx.body = text;
  });
}
