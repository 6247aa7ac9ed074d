import type { Principal } from '../security/api/principal.ts';
import { allows } from '../security/api/scopes.ts';
import { maskedAccess } from '../security/proxy/access.ts';
import type { TargetConfig } from '../targets/target-config.ts';

/** Stands for each environment value that the reader may not change, and so not see (INTERFACE 4). */
export const HIDDEN_VALUE = '***';

/** The configuration as this caller may see it: everything but passwords, and the values of `env` only for who may deploy. */
export function visibleConfig(config: TargetConfig = {}, caller: Principal, repository: string): TargetConfig {
  const visible = config.access === undefined ? config : { ...config, access: maskedAccess(config.access) };
  if (visible.env === undefined || allows(caller, 'deploy', repository)) return visible;
  return { ...visible, env: Object.fromEntries(Object.keys(visible.env).map((name) => [name, HIDDEN_VALUE])) };
}
