import { availableParallelism, loadavg } from 'node:os';
import { expect, it } from 'vitest';
import { engineHttp } from '../test/lab/engine-http.ts';
import { useLab } from '../test/lab/lab.ts';
import { nginxVersion } from './nginx.ts';
import { report } from './report.ts';
import { printSpread, spreadOf } from './spread.ts';

it('what it runs on, and how noisy that is', async () => {
  const { Version } = (await engineHttp(useLab().dockerHost, '/version')).json() as { Version: string };
  const timesMs = Array.from({ length: 20 }, () => {
    const startedMs = performance.now();
    let sum = 0;
    for (let step = 0; step < 2e7; step += 1) sum += step % 7;
    expect(sum).toBeGreaterThan(0);
    return performance.now() - startedMs;
  });
  const noise = `the same computation took ${printSpread(spreadOf(timesMs))} ms in 20 tries`;
  report('0-machine', `${new Date().toISOString().slice(0, 10)}. Node ${process.version}, Docker ${Version}, nginx ${nginxVersion()}; ${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)} at the start; noise: ${noise}.`);
});
