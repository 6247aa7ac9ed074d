import { expect, it } from 'vitest';
import { parseImageRef } from '../../../src/images/image-ref.ts';
import { configHash } from '../../../src/instances/config-hash.ts';
import { effectiveConfig, type EffectiveConfig, type TargetConfig } from '../../../src/targets/target-config.ts';
import { DEFAULTS } from '../../fakes/specs.ts';

const ref = parseImageRef('alice/web:main')!;
const hash = (config: TargetConfig): string => configHash(ref, effectiveConfig(config, DEFAULTS));

it('tells apart what a container is made from, and nothing else', () => {
  expect(hash({ capabilities: ['NET_RAW'] })).not.toBe(hash({}));
  expect(hash({ capabilities: ['NET_RAW', 'CHOWN'] })).toBe(hash({ capabilities: ['CHOWN', 'NET_RAW', 'CHOWN'] }));
  expect(hash({ env: { A: '1', B: '2' } })).toBe(hash({ env: { B: '2', A: '1' } }));
  expect(hash({ pull: 'always', wait: 'hold', idle: { stop: '1m' }, readiness: { timeout: '5s' }, access: 'token' })).toBe(hash({}));
});

it('differs from the hash of containers that were made before capabilities were dropped, so they are replaced', () => {
  const { capabilities: _none, ...before } = effectiveConfig({}, DEFAULTS);
  expect(hash({})).not.toBe(configHash(ref, before as EffectiveConfig));
});
