import type Router from '@koa/router';
import type { InstanceControl } from '../instances/instance-control.ts';
import { allows } from '../security/scopes.ts';
import { parseReference, repositoryOf } from '../targets/reference.ts';
import type { TargetConfigStore } from '../targets/target-config-store.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Authentication } from './authenticate.ts';
import { drawState } from './state-drawing.ts';

/** `/containers`: the states of all instances that the caller may read, by reference. */
export function routeContainers(router: Router<ApiState>, control: InstanceControl, configs: TargetConfigStore, authentication: Authentication): void {
  router.get('/containers', (ctx: ApiContext) => {
    const caller = authentication.caller(ctx);
    ctx.body = control
      .reports()
      .filter((report) => allows(caller, 'read', repositoryOf(parseReference(report.reference))))
      .sort((one, other) => (one.reference < other.reference ? -1 : 1))
      .map((report) => drawState(report, configs, caller));
  });
}
