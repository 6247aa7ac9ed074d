import type Router from '@koa/router';
import { PipesError } from '../core/errors.ts';
import { allows } from '../security/api/scopes.ts';
import type { WebhookSecret } from '../security/api/webhook-secret.ts';
import { repositoryOf, type Reference } from '../targets/reference.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Authentication } from './authenticate.ts';
import { readNotification, type PushesNoted, type TagPush } from './contract/registry-notification.ts';
import { invalid, parseJson, readBytes } from './json-body.ts';

/** Told of pushes; what follows from them is done in the background, bounded, once for each tag. */
export interface PushListener {
  /** @param mayTouch whether the teller may have this target replaced */
  notePush(push: TagPush, mayTouch: (reference: Reference) => boolean): { readonly refreshing: readonly string[]; readonly atNextWake: readonly string[] };
}

export interface RegistryWebhookParts {
  readonly pushes: PushListener;
  readonly secret: WebhookSecret;
  readonly authentication: Authentication;
  readonly bodyTimeoutMs: number;
}

/** `/webhooks/registry`: registries tell of pushes. What they tell is only a reason to ask them. */
export function routeRegistryWebhook(router: Router<ApiState>, parts: RegistryWebhookParts): void {
  router.post('/webhooks/registry', async (ctx: ApiContext) => {
    const signature = ctx.get('x-hub-signature-256');
    // A signature can be judged only when the body is here; everybody else is sent away before.
    const isSigned = signature !== '' && ctx.get('authorization') === '' && ctx.query['secret'] === undefined;
    const asked = isSigned ? undefined : reachOf(ctx, parts);
    const body = await readBytes(ctx, parts.bodyTimeoutMs);
    if (isSigned && !parts.secret.signs(body, signature)) throw new PipesError('unauthorized', 'The signature is not that of this body with WEBHOOK_SECRET.');
    const notification = readNotification(parseJson(body));
    if (!notification) throw invalid([{ path: '', message: `is no notification that pipes knows; it takes those of ${SUPPORTED}` }]);
    const noted: PushesNoted = { refreshing: [], atNextWake: [], ignored: notification.ignored };
    for (const push of notification.pushes) {
      const { refreshing, atNextWake } = parts.pushes.notePush(push, asked ?? (() => true));
      noted.refreshing.push(...refreshing);
      noted.atNextWake.push(...atNextWake);
    }
    ctx.status = 202;
    ctx.body = noted;
  });
}

const SUPPORTED = "Docker's registry (an envelope of events), Docker Hub (push_data and repository) and GitHub (registry_package or package)";

/**
 * Which targets the caller may have replaced. `WEBHOOK_SECRET` reaches all of them, as Bearer or `?secret=`; so does a token in either
 * place, as far as its deploy scopes go.
 * @throws PipesError `unauthorized`, `forbidden`, `rate_limited`
 */
function reachOf(ctx: ApiContext, { secret, authentication }: RegistryWebhookParts): (reference: Reference) => boolean {
  const inQuery = ctx.query['secret'];
  const shown = typeof inQuery === 'string' ? inQuery : authentication.bearer(ctx);
  if (shown !== undefined && secret.is(shown)) return () => true;
  const caller = typeof inQuery === 'string' ? authentication.callerByToken(ctx, inQuery) : authentication.caller(ctx);
  if (caller.scopes.every(({ kind }) => kind === 'read')) throw new PipesError('forbidden', `The token "${caller.name}" has no deploy scope.`);
  return (reference) => allows(caller, 'deploy', repositoryOf(reference));
}
