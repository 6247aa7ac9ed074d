import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { SETTINGS } from '../../src/config/settings.ts';
import { parseDuration } from '../../src/core/durations.ts';

/** examples/pipes.service, as far as it can be judged without systemd (`systemd-analyze verify examples/pipes.service` finds nothing). */
const path = fileURLToPath(new URL('../../examples/pipes.service', import.meta.url));
const unit = new Map([...readFileSync(path, 'utf8').matchAll(/^([A-Za-z]+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]));

it('runs pipes as a user of its own in the group of the socket, which may write its own folder alone', () => {
  expect(Object.fromEntries(unit)).toMatchObject({ User: 'pipes', SupplementaryGroups: 'docker', NoNewPrivileges: 'true', ProtectSystem: 'strict', ProtectHome: 'true', StateDirectory: 'pipes', WorkingDirectory: '/var/lib/pipes' });
  expect(unit.get('ExecStart')).toMatch(/ \/opt\/pipes\/bin\/pipes\.js serve$/);
});

it('knows the settings, and waits longer than they say', () => {
  const environment = unit.get('Environment')!.split(' ').map((each) => each.split('=')[0]!);
  expect(environment.filter((name) => name !== 'NODE_ENV' && !Object.hasOwn(SETTINGS, name))).toEqual([]);
  expect(Number(unit.get('TimeoutStopSec')) * 1000).toBeGreaterThan(parseDuration(SETTINGS.SHUTDOWN_TIMEOUT.fallback)!);
});
