import { problemOf } from '../core/problem.ts';
import type { InstanceReport } from '../instances/instance-control.ts';
import type { WakeTiming } from '../instances/wake-progress.ts';
import type { Principal } from '../security/api/principal.ts';
import { parseReference, repositoryOf } from '../targets/reference.ts';
import type { TargetConfigStore } from '../targets/target-config-store.ts';
import type { ContainerState } from './contract/container-state.ts';
import { visibleConfig } from './visible-config.ts';

/** A report as the public document. The caller may read the target, and so sees its logs and the private part of its error. */
export function drawState(report: InstanceReport, configs: TargetConfigStore, caller: Principal): ContainerState {
  const repository = repositoryOf(parseReference(report.reference));
  return {
    reference: report.reference,
    image: report.image,
    digest: report.digest,
    state: report.state,
    containerId: report.containerId,
    managed: report.managed,
    startedAt: report.startedAt?.toISOString() ?? null,
    lastUsedAt: report.lastUsedAt?.toISOString() ?? null,
    inFlight: report.inFlight,
    upstream: report.upstream && { host: report.upstream.host, port: report.upstream.port },
    error: report.error && problemOf(report.error, true),
    lastWake: report.lastWake && drawTiming(report.lastWake),
    config: visibleConfig(configs.container(report.reference), caller, repository),
  };
}

/** A tenth of a millisecond is as much as can be told from noise. */
function drawTiming({ from, ...parts }: WakeTiming): WakeTiming {
  const round = (durationMs: number): number => Math.round(durationMs * 10) / 10;
  return { from, pullMs: round(parts.pullMs), createMs: round(parts.createMs), startMs: round(parts.startMs), readyMs: round(parts.readyMs), totalMs: round(parts.totalMs) };
}
