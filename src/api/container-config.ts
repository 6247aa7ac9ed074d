import type Router from '@koa/router';
import { printReference } from '../targets/reference.ts';
import type { TargetConfig } from '../targets/target-config.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import { queryFlag } from './query-flag.ts';
import { answerWhenDone, openTarget, type TargetParts } from './target-access.ts';
import { visibleConfig } from './visible-config.ts';
import { differInAccessAlone, readConfig } from './written-config.ts';

/** `./container/config`: the configuration of one target. */
export function routeContainerConfig(router: Router<ApiState>, parts: TargetParts): void {
  router.get('/container/config', (ctx: ApiContext) => {
    const { reference, repository, caller } = openTarget(ctx, parts, 'read');
    ctx.body = visibleConfig(parts.configs.container(printReference(reference)), caller, repository);
  });

  router.put('/container/config', async (ctx: ApiContext) => {
    const request = openTarget(ctx, parts, 'deploy');
    queryFlag(ctx, 'wait', true); // A faulty query must not leave a written configuration behind.
    const key = printReference(request.reference);
    const present = (): TargetConfig | undefined => parts.configs.container(key);
    const config = await readConfig(ctx, parts, request.caller, present);
    const isForDoor = differInAccessAlone(present(), config);
    if (!isForDoor) parts.control.assertManaged(request.reference);
    await parts.configs.setContainer(key, config);
    ctx.state.isReplacing = true;
    await answerWhenDone(ctx, parts, request, () => (isForDoor ? Promise.resolve() : parts.control.reconfigure(request.reference)));
  });
}
