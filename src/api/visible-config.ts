import type { Principal } from '../security/api/principal.ts';
import { allows } from '../security/api/scopes.ts';
import type { TargetConfig } from '../targets/target-config.ts';

/** Stands for each environment value that the reader may not change, and so not see (INTERFACE 4). */
export const HIDDEN_VALUE = '***';

/** The configuration as this caller may see it: everything, with the values of `env` only for who may deploy. */
export function visibleConfig(config: TargetConfig | undefined, caller: Principal, repository: string): TargetConfig {
  if (config?.env === undefined || allows(caller, 'deploy', repository)) return config ?? {};
  return { ...config, env: Object.fromEntries(Object.keys(config.env).map((name) => [name, HIDDEN_VALUE])) };
}
