import type Router from '@koa/router';
import { PipesError } from '../core/errors.ts';
import type { Credentials } from '../security/api/credentials.ts';
import type { Scope } from '../security/api/principal.ts';
import { parseScope } from '../security/api/scopes.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Authentication } from './authenticate.ts';
import { NewToken, expiryMs, type MadeToken, type TokenEntry } from './contract/tokens.ts';
import { invalid, readBody } from './json-body.ts';

export interface TokenParts {
  readonly credentials: Credentials;
  readonly authentication: Authentication;
  readonly bodyTimeoutMs: number;
  /** Time of day, in milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** `/tokens`, for administrators: what there is, without secrets; a new one, shown once; the end of one. */
export function routeTokens(router: Router<ApiState>, parts: TokenParts): void {
  const { credentials, authentication } = parts;

  router.get('/tokens', (ctx: ApiContext) => {
    authentication.admin(ctx);
    ctx.body = credentials.tokens().map(({ name, scopes, createdAt, expiresAt }): TokenEntry => ({ name, scopes: [...scopes], createdAt, expiresAt: expiresAt ?? null }));
  });

  router.post('/tokens', async (ctx: ApiContext) => {
    authentication.admin(ctx);
    const { name, scopes, expires } = await readBody(ctx, NewToken, parts.bodyTimeoutMs);
    const expiresAt = expires === undefined ? undefined : new Date(expiryMs(expires, parts.nowMs()));
    if (expiresAt && expiresAt.getTime() <= parts.nowMs()) throw invalid([{ path: 'expires', message: 'must be in the future' }]);
    const token = await credentials.makeToken(name, readScopes(scopes), expiresAt);
    ctx.status = 201;
    ctx.body = { token, name, scopes, expiresAt: expiresAt?.toISOString() ?? null } satisfies MadeToken;
  });

  router.delete('/tokens/:name', async (ctx: ApiContext & { params: Record<string, string> }) => {
    authentication.admin(ctx);
    const name = ctx.params['name'] ?? '';
    if (!(await credentials.removeToken(name))) throw new PipesError('not_found', `There is no token with the name "${name}".`);
    ctx.status = 204;
  });
}

function readScopes(texts: readonly string[]): Scope[] {
  const scopes = texts.map(parseScope);
  const faults = scopes.flatMap((scope, index) => (scope ? [] : [{ path: `scopes[${index}]`, message: 'must be admin, deploy:<pattern> or read:<pattern>' }]));
  if (faults.length > 0) throw invalid(faults);
  return scopes.filter((scope) => scope !== undefined);
}
