import { afterAll, beforeAll, expect, it } from 'vitest';
import { Apps, type App } from '../test/lab/apps.ts';
import { EngineContainers } from '../test/lab/engine-containers.ts';
import { request } from '../test/lab/http-client.ts';
import { useLab } from '../test/lab/lab.ts';
import { startPipes, type PipesProcess } from '../test/lab/pipes-process.ts';
import { processFacts } from '../test/lab/process-facts.ts';
import { nginxApp, startNginx, type Nginx } from './nginx.ts';
import { report, table } from './report.ts';
import { printSpread, spreadOf } from './spread.ts';
import { load } from './wrk.ts';

const ROUNDS = 5;
const SECONDS = 4;
const CONNECTIONS = 64;
const ANSWER_BYTES = 1024;

const apps = new Apps('benchload');
const containers = new EngineContainers(useLab().dockerHost);
let app: App;
let pipes: PipesProcess;
let nginx: Nginx;

beforeAll(async () => {
  app = await apps.build('answers', nginxApp(ANSWER_BYTES));
  pipes = await startPipes();
  const { text } = await request(pipes.port, { host: app.host });
  expect(text).toHaveLength(ANSWER_BYTES);
  const { Id } = await containers.only(app.reference);
  nginx = await startNginx({ dir: useLab().dir, upstream: `${await containers.address(Id)}:80`, hasAccessLog: true });
});
afterAll(async () => {
  await nginx.stop();
  await request(pipes.port, { host: app.host, method: 'DELETE', path: '/__proxyapi/container', token: pipes.token });
  await pipes.stop();
});

it('requests per second and CPU time per request, next to nginx', async () => {
  const contenders = [{ name: 'pipes', ...pipes }, { name: 'nginx', ...nginx }].map((one) => ({ ...one, rates: [] as number[], costsUs: [] as number[] }));
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const { port, pid, rates, costsUs } of contenders) {
      const beforeMs = processFacts(pid).cpuMs;
      const { requests, requestsPerSecond, failures } = await load(port, app.host, CONNECTIONS, SECONDS);
      expect(failures).toBe(0);
      // The first round warms both up.
      if (round < 0) continue;
      rates.push(requestsPerSecond);
      costsUs.push(((processFacts(pid).cpuMs - beforeMs) * 1000) / requests);
    }
  }
  const rows = contenders.map(({ name, rates, costsUs }) => [name, printSpread(spreadOf(rates), 0), printSpread(spreadOf(costsUs))]);
  const [ours, theirs] = contenders.map(({ rates, costsUs }) => ({ rate: spreadOf(rates).median, costUs: spreadOf(costsUs).median }));
  rows.push(['pipes / nginx', (ours!.rate / theirs!.rate).toFixed(2), (ours!.costUs / theirs!.costUs).toFixed(1)]);
  const what = `\`wrk\`, ${CONNECTIONS} kept connections, ${ROUNDS} rounds of ${SECONDS} s each, alternating; answers of ${ANSWER_BYTES} bytes from one container; both write a line per request to a file; one process each. CPU is the proxy's own (user and system).`;
  report('2-forwarding', `## Forwarding\n\n${what}\n\n${table(['median (least–most)', 'requests per second', 'CPU µs per request'], rows)}`);
});
