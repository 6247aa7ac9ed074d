import type Router from '@koa/router';
import { PipesError } from '../core/errors.ts';
import type { InstanceUsage } from '../instances/instance-usage.ts';
import type { ApiContext, ApiState } from './api-context.ts';
import type { ContainerStats } from './contract/container-stats.ts';
import { openTarget, type TargetParts } from './target-access.ts';

/** `./container/stats`: what the container uses of the machine now. It never wakes anything. */
export function routeContainerStats(router: Router<ApiState>, parts: TargetParts, usage: InstanceUsage): void {
  router.get('/container/stats', async (ctx: ApiContext) => {
    const { reference } = openTarget(ctx, parts, 'read');
    const report = parts.control.report(reference);
    const leaving = new AbortController();
    ctx.res.once('close', () => leaving.abort(new PipesError('invalid_request', 'The client left.')));
    const measured = await usage.measure(report, leaving.signal);
    if (!measured) throw new PipesError('not_found', `${report.reference} is ${report.state}: nothing of it runs, so there is nothing to measure.`);
    const { networkReceivedBytes: receivedBytes, networkSentBytes: sentBytes } = measured;
    ctx.body = {
      reference: report.reference,
      containerId: report.containerId!,
      measuredAt: new Date(measured.atMs).toISOString(),
      cpu: { totalNs: measured.cpuTotalNs, percentOfCore: Math.round(measured.cpuPercentOfCore * 10) / 10 },
      memory: { usedBytes: measured.memoryUsedBytes, limitBytes: measured.memoryLimitBytes },
      network: receivedBytes === null || sentBytes === null ? null : { receivedBytes, sentBytes },
      pids: measured.pids,
    } satisfies ContainerStats;
  });
}
