import type { RunSpec } from '../../src/instances/backend.ts';
import { configHash } from '../../src/instances/config-hash.ts';
import type { Reference } from '../../src/targets/reference.ts';
import { effectiveConfig, type ConfigDefaults, type TargetConfig } from '../../src/targets/target-config.ts';

export const DEFAULTS: ConfigDefaults = { memoryBytes: 2 ** 29, cpus: 1, pids: 512, startTimeoutMs: 2_000, pull: 'missing', idle: { pauseMs: Infinity, stopMs: Infinity, removeMs: Infinity }, wait: 'auto' };

/** A spec as an instance would make it. */
export function specOf(reference: Reference, config: TargetConfig): RunSpec {
  const imageRef = { registry: 'docker.io', repository: `${reference.user}/${reference.repo}`, tag: reference.tag };
  const effective = effectiveConfig(config, DEFAULTS);
  const image = { id: 'sha256:fake', digest: undefined, exposedPorts: [80], sizeBytes: 1 };
  return { reference, imageRef, image, config: effective, port: 80, configHash: configHash(imageRef, effective) };
}
