import type Router from '@koa/router';
import { PipesError, asPipesError } from '../core/errors.ts';
import type { InstanceControl } from '../instances/instance-control.ts';
import { parseReference, repositoryOf } from '../targets/reference.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import { queryFlag } from './query-flag.ts';
import { answerWhenDone, openTarget, type TargetParts } from './target-access.ts';
import { visibleConfig } from './visible-config.ts';
import { readConfig } from './written-config.ts';

/** `./repository/config`: what holds for every tag of the repository where its own configuration says nothing else. */
export function routeRepositoryConfig(router: Router<ApiState>, parts: TargetParts): void {
  router.get('/repository/config', (ctx: ApiContext) => {
    const { repository, caller } = openTarget(ctx, parts, 'read');
    ctx.body = visibleConfig(parts.configs.repository(repository), caller, repository);
  });

  router.put('/repository/config', async (ctx: ApiContext) => {
    const request = openTarget(ctx, parts, 'deploy');
    queryFlag(ctx, 'wait', true); // A faulty query must not leave a written configuration behind.
    const restarts = queryFlag(ctx, 'restart', false);
    const config = await readConfig(ctx, parts, request.caller, () => parts.configs.repository(request.repository));
    await parts.configs.setRepository(request.repository, config);
    ctx.state.isReplacing = true;
    await answerWhenDone(ctx, parts, request, () => (restarts ? reconfigureAll(parts.control, request.repository) : Promise.resolve()));
  });
}

/** Each instance of the repository, at once: how many really start together is bounded where they start. */
async function reconfigureAll(control: InstanceControl, repository: string): Promise<void> {
  const references = control
    .reports()
    .filter((report) => report.managed)
    .map((report) => parseReference(report.reference))
    .filter((reference) => repositoryOf(reference) === repository);
  const ends = await Promise.allSettled(references.map((reference) => control.reconfigure(reference)));
  const failures = ends.flatMap((end, index) => (end.status === 'rejected' ? [{ reference: references[index]!, error: asPipesError(end.reason) }] : []));
  if (failures.length === 0) return;
  const [first] = failures;
  const failed = failures.map(({ reference, error }) => ({ reference: `${repository}:${reference.tag}`, code: error.code, detail: error.message }));
  throw new PipesError(first!.error.code, `The configuration is stored, but ${failures.length} of ${references.length} instances did not take it: ${first!.error.message}`, {
    ...(first!.error.retryAfterS === undefined ? {} : { retryAfterS: first!.error.retryAfterS }),
    cause: first!.error,
    privateDetail: first!.error.privateDetail,
    members: { ...first!.error.members, failed },
  });
}
