import { isDeepStrictEqual } from 'node:util';
import type { Principal } from '../security/api/principal.ts';
import { withKeptPasswords } from '../security/proxy/kept-passwords.ts';
import { TargetConfig } from '../targets/target-config.ts';
import type { ApiContext } from './api-context.ts';
import { readBody } from './json-body.ts';
import { assertMayWrite, type TargetParts } from './target-access.ts';

/**
 * The configuration that a request brings, as it is to be kept.
 * @param present what stands there now
 * @throws PipesError `invalid_request`, `forbidden`, and the others of a body
 */
export async function readConfig(ctx: ApiContext, parts: TargetParts, caller: Principal, present: () => TargetConfig | undefined): Promise<TargetConfig> {
  const config = await readBody(ctx, TargetConfig, parts.bodyTimeoutMs);
  assertMayWrite(parts, caller, present(), config);
  if (config.access === undefined) return config;
  const access = await withKeptPasswords(config.access, () => present()?.access, parts.passwordHasher);
  // Hashing takes its time, and what stood there before may have been taken back meanwhile.
  assertMayWrite(parts, caller, present(), config);
  return { ...config, access };
}

/** Whether the two differ in who may visit and in nothing else, so that no container has to change. */
export function differInAccessAlone(present: TargetConfig = {}, next: TargetConfig): boolean {
  const { access: before, ...rest } = present;
  const { access: after, ...nextRest } = next;
  return !isDeepStrictEqual(before, after) && isDeepStrictEqual(rest, nextRest);
}
