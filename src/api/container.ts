import type Router from '@koa/router';
import type { InstanceControl } from '../instances/instance-control.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import { drawState } from './state-drawing.ts';
import { answerWhenDone, openTarget, type TargetParts } from './target-access.ts';

/** `./container`: its state, its removal, and start, stop and restart. */
export function routeContainer(router: Router<ApiState>, parts: TargetParts): void {
  router.get('/container', (ctx: ApiContext) => {
    const { reference, caller } = openTarget(ctx, parts, 'read');
    ctx.body = drawState(parts.control.report(reference), parts.configs, caller);
  });

  const command = (name: 'start' | 'stop' | 'restart' | 'remove') => async (ctx: ApiContext): Promise<void> => {
    const request = openTarget(ctx, parts, 'deploy');
    const control: InstanceControl = parts.control;
    await answerWhenDone(ctx, parts, request, () => control[name](request.reference));
  };

  router.delete('/container', command('remove'));
  router.post('/container/start', command('start'));
  router.post('/container/stop', command('stop'));
  router.get('/container/stop', command('stop'));
  router.post('/container/restart', command('restart'));
}
