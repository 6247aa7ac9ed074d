import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { build, removeBuilt } from '../test/integration/proxy/built-probe.ts';
import { useLab } from '../test/lab/lab.ts';
import { report } from './report.ts';

afterAll(removeBuilt);

/** In processes of their own, so that each one's CPU time is its own; see forwarder.ts. */
it('CPU per forwarded request, next to http-proxy and nginx', async () => {
  const program = await build(fileURLToPath(new URL('forwarder.ts', import.meta.url)));
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env: { ...process.env, BENCH_DIR: useLab().dir }, timeout: 120_000 });
  expect(stdout).toContain('pipes');
  report('3-forwarder', `## The forwarder by itself\n\nWithout host look-up and access log, next to what http-proxy would do (docs/decisions/0001-http-proxy.md). ${stdout}`);
});
