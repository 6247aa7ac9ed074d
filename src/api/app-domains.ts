import type Router from '@koa/router';
import { PipesError } from '../core/errors.ts';
import type { Principal } from '../security/api/principal.ts';
import { asciiDomain } from '../targets/domain-name.ts';
import { makeReference, repositoryOf } from '../targets/reference.ts';
import type { RouteTable } from '../targets/route-table.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Authentication } from './authenticate.ts';
import { Domains } from './contract/domains.ts';
import { readBody } from './json-body.ts';

export interface AppDomainsParts {
  readonly routes: RouteTable;
  readonly authentication: Authentication;
  /** Longest that a body may take to arrive. */
  readonly bodyTimeoutMs: number;
}

/** `/apps/:user/:repo/domains`: the host names that are bound to a repository besides those of its own name. */
export function routeAppDomains(router: Router<ApiState>, { routes, authentication, bodyTimeoutMs }: AppDomainsParts): void {
  router.get('/apps/:user/:repo/domains', (ctx: AppContext) => {
    const { repository } = openRepository(ctx, authentication, 'read');
    ctx.body = { domains: routes.domainsOf(repository) } satisfies Domains;
  });

  router.put('/apps/:user/:repo/domains', async (ctx: AppContext) => {
    const { repository, caller } = openRepository(ctx, authentication, 'deploy');
    const { domains } = await readBody(ctx, Domains, bodyTimeoutMs);
    await routes.bind(caller, repository, domains.map(asciiDomain));
    ctx.body = { domains: routes.domainsOf(repository) } satisfies Domains;
  });
}

type AppContext = ApiContext & { params: Record<string, string> };

/** @throws PipesError `unauthorized`, `forbidden`, `rate_limited`, `not_found` */
function openRepository(ctx: AppContext, authentication: Authentication, right: 'read' | 'deploy'): { repository: string; caller: Principal } {
  const { user = '', repo = '' } = ctx.params;
  const reference = makeReference(user, repo);
  if (!reference) {
    authentication.caller(ctx); // Strangers learn nothing, not even what a name looks like.
    throw new PipesError('not_found', `"${user}/${repo}" is no user/repo.`);
  }
  const repository = repositoryOf(reference);
  return { repository, caller: authentication.callerWith(ctx, right, repository) };
}
