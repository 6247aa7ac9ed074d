import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Firewall } from '../src/docker/firewall.ts';
import { Apps, type App } from '../test/lab/apps.ts';
import { startEngine, type Engine } from '../test/lab/engine.ts';
import { engineHttp } from '../test/lab/engine-http.ts';
import { request } from '../test/lab/http-client.ts';
import { useLab } from '../test/lab/lab.ts';
import { makeMachine, type Machine } from '../test/lab/machine.ts';
import { startPipes, type PipesProcess } from '../test/lab/pipes-process.ts';
import { firstByte } from './first-byte.ts';
import { report, table } from './report.ts';
import { printSpread, spreadOf } from './spread.ts';

const ROUNDS = 20;

/** Its own, since the rules come and go here. */
let machine: Machine;
let engine: Engine;
let isolated: PipesProcess;
let open: PipesProcess;
const built: App[] = [];

beforeAll(async () => {
  const labDir = useLab().dir;
  machine = await makeMachine(labDir);
  engine = await startEngine({ labDir, machine });
  const { dockerHost } = engine;
  const apps = new Apps('cost', { dockerHost });
  for (const name of ['isolated', 'open']) built.push(await apps.build(name, { from: 'tiny' }));
  isolated = await startPipes({ machine, dockerHost, env: { BIND: '0.0.0.0' } });
  open = await startPipes({ machine, dockerHost, env: { BIND: '0.0.0.0', ISOLATE: 'off' } });
});
afterAll(async () => {
  await Promise.all([isolated.stop(), open.stop()]);
  await engine.close();
  await machine.close();
});

it('what isolation costs at a start', async () => {
  const [inside, outside] = built as [App, App];
  await visit(isolated, inside);
  await visit(open, outside);
  const { Id } = (await engineHttp(engine.dockerHost, '/networks/pipes-apps')).json() as { Id: string };
  // pipes itself was told EGRESS=all: with its own hands it would put them back between two rounds.
  const iptables = async (program: string, args: readonly string[], input = ''): Promise<string> => {
    const [command = '', ...words] = [...machine.enter, program, ...args];
    return await Promise.resolve(execFileSync(command, words, { input, encoding: 'utf8' }));
  };
  const firewall = new Firewall({ id: 'bench', openPorts: [], iptables });
  const ways = [
    { name: '`ISOLATE=on`, `EGRESS=internet`', pipes: isolated, app: inside, before: () => firewall.keep(`br-${Id.slice(0, 12)}`), times: [] as number[] },
    { name: '`ISOLATE=on`, `EGRESS=all`', pipes: isolated, app: inside, before: () => firewall.drop(), times: [] as number[] },
    { name: '`ISOLATE=off`', pipes: open, app: outside, before: () => firewall.drop(), times: [] as number[] },
    // The same once more: what two equal things differ by here is noise.
    { name: '`ISOLATE=off`, again', pipes: open, app: outside, before: () => firewall.drop(), times: [] as number[] },
  ];
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const { pipes, app, before, times } of round % 2 === 0 ? ways : ways.toReversed()) {
      const gone = await request(pipes.port, { address: machine.address, host: app.host, method: 'DELETE', path: '/__proxyapi/container', token: pipes.token });
      expect(gone.status).toBe(200);
      await before();
      const startedMs = performance.now();
      await visit(pipes, app);
      // The first round warms all up.
      if (round >= 0) times.push(performance.now() - startedMs);
    }
  }
  const rows = ways.map(({ name, times }) => [name, printSpread(spreadOf(times))]);
  report('5-isolation', `## Isolation\n\n${ROUNDS} rounds, alternating, on an engine in a network of its own; median (least–most).\n\n${table(['absent → first byte, ms', ''], rows)}`);
});

async function visit(pipes: PipesProcess, app: App): Promise<void> {
  await firstByte({ address: machine.address, port: pipes.port, host: app.host });
}
