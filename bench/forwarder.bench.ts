import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { build, removeBuilt } from '../test/integration/proxy/built-probe.ts';

afterAll(removeBuilt);

/** In processes of their own, so that each one's CPU time is its own; see forwarder.ts. */
it('CPU per forwarded request, next to http-proxy and nginx', async () => {
  const child = spawn(process.execPath, [await build(fileURLToPath(new URL('forwarder.ts', import.meta.url)))], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [status] = (await once(child, 'close')) as [number | null];
  expect(status).toBe(0);
});
