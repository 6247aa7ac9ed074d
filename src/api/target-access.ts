import { PipesError } from '../core/errors.ts';
import type { InstanceControl } from '../instances/instance-control.ts';
import type { ConfigRights, FarReachingConfig } from '../security/api/config-rights.ts';
import type { Principal } from '../security/api/principal.ts';
import type { PasswordHasher } from '../security/proxy/password-hasher.ts';
import { printReference, repositoryOf, type Reference } from '../targets/reference.ts';
import type { TargetConfigStore } from '../targets/target-config-store.ts';
import type { ApiContext } from './api-context.ts';
import type { Authentication } from './authenticate.ts';
import type { Background } from './background.ts';
import { queryFlag } from './query-flag.ts';
import { drawState } from './state-drawing.ts';

/** What the resources of a target's host work with. */
export interface TargetParts {
  readonly control: InstanceControl;
  readonly configs: TargetConfigStore;
  readonly authentication: Authentication;
  readonly rights: ConfigRights;
  readonly passwordHasher: Pick<PasswordHasher, 'hash'>;
  readonly background: Background;
  /** Longest that a body may take to arrive. */
  readonly bodyTimeoutMs: number;
}

/** One request to a target's host by a caller who has the right that it needs. */
export interface TargetRequest {
  readonly reference: Reference;
  readonly repository: string;
  readonly caller: Principal;
}

/** @throws PipesError `unauthorized`, `forbidden`, `rate_limited` */
export function openTarget(ctx: ApiContext, parts: TargetParts, right: 'read' | 'deploy'): TargetRequest {
  const { place } = ctx.state;
  if (place.kind !== 'target') throw new PipesError('not_found', 'Ask on the host of a target.');
  const repository = repositoryOf(place.reference);
  const caller = parts.authentication.callerWith(ctx, right, repository);
  return { reference: parts.control.canonical(place.reference), repository, caller };
}

/** Answers a write: 200 with the state once the work is done, or 202 with the state now (`?wait=false`). */
export async function answerWhenDone(ctx: ApiContext, parts: TargetParts, request: TargetRequest, work: () => Promise<void>): Promise<void> {
  const waits = queryFlag(ctx, 'wait', true);
  const reference = printReference(request.reference);
  if (waits) await work();
  else parts.background.run({ reference, path: ctx.path }, work());
  ctx.status = waits ? 200 : 202;
  ctx.body = drawState(parts.control.report(request.reference), parts.configs, request.caller);
}

/** @throws PipesError `forbidden` that names each part of `next` that needs more rights */
export function assertMayWrite(parts: TargetParts, caller: Principal, present: FarReachingConfig | undefined, next: FarReachingConfig): void {
  const faults = parts.rights.missing(caller, present ?? {}, next);
  if (faults.length === 0) return;
  const named = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new PipesError('forbidden', `The token "${caller.name}" may not write this configuration. ${named}.`, { members: { faults } });
}
