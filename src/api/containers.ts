import type Router from '@koa/router';
import type { InstanceControl } from '../instances/instance-control.ts';
import type { InstanceUsage } from '../instances/instance-usage.ts';
import { allows } from '../security/api/scopes.ts';
import { parseReference, repositoryOf } from '../targets/reference.ts';
import type { TargetConfigStore } from '../targets/target-config-store.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { Authentication } from './authenticate.ts';
import type { ListedContainer } from './contract/container-state.ts';
import { drawState } from './state-drawing.ts';

export interface ContainersParts {
  readonly control: InstanceControl;
  readonly configs: TargetConfigStore;
  readonly usage: InstanceUsage;
  readonly authentication: Authentication;
}

/** `/containers`: the states of all instances that the caller may read, by reference, with the memory that each holds. */
export function routeContainers(router: Router<ApiState>, { control, configs, usage, authentication }: ContainersParts): void {
  router.get('/containers', async (ctx: ApiContext) => {
    const caller = authentication.caller(ctx);
    const reports = control.reports().filter((report) => allows(caller, 'read', repositoryOf(parseReference(report.reference))));
    const memoryBytes = await usage.memory(reports);
    ctx.body = reports
      .sort((one, other) => (one.reference < other.reference ? -1 : 1))
      .map((report): ListedContainer => ({ ...drawState(report, configs, caller), memoryUsedBytes: memoryBytes.get(report.containerId ?? '') ?? null }));
  });
}
