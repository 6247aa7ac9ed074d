import { Agent } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineObstacle, startEngine, type Engine } from '../lab/engine.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

/** An engine of our own goes away and comes back while visitors ask for apps that are warm. */
describe.skipIf(engineObstacle() !== undefined)('an engine that goes away and comes back under traffic,', () => {
  let engine: Engine;
  let counting: CountingEngine;
  let apps: Apps;
  let pipes: PipesProcess;

  afterEach(async () => {
    await pipes.stop();
    await counting.close();
    await engine.close();
  });

  /** With `ISOLATE=off`, so that the apps share the addresses of their network with everybody else's containers. */
  async function open(extraArgs: readonly string[]): Promise<void> {
    engine = await startEngine({ labDir: useLab().dir, extraArgs });
    counting = await countCalls(engine.dockerHost);
    apps = new Apps('back', { dockerHost: engine.dockerHost });
    pipes = await startPipes({ dockerHost: counting.dockerHost, env: { ISOLATE: 'off' } });
  }
  const build = (repo: string) => apps.build(repo, { from: 'tiny' });
  const visit = (app: App, agent?: Agent) => request(pipes.port, { host: app.host, timeoutMs: 30_000, ...(agent && { agent }) });
  const health = async () => (await request(pipes.port, { host: 'localhost', path: '/health' })).json<{ status: string }>().status;

  /** Visitors of each app, one request after the other: one who keeps a connection, one who does not. Gives what they got, in order. */
  function traffic(all: readonly App[]): { good: (app: App) => number; stop(): Promise<string[]> } {
    const over = new AbortController();
    const good = new Map<App, number>();
    const others: string[] = [];
    const agent = new Agent({ keepAlive: true });
    const visitor = async (app: App, kept: Agent | undefined): Promise<void> => {
      while (!over.signal.aborted) {
        const answer = await visit(app, kept).catch((error: unknown) => String(error));
        if (typeof answer === 'string') others.push(answer);
        else if (answer.text === own(app)) good.set(app, (good.get(app) ?? 0) + 1);
        else others.push(`${answer.status} ${answer.json<{ code: string }>().code} ${answer.headers['retry-after'] ?? 'for ever'}`);
      }
    };
    const done = Promise.all(all.flatMap((app) => [visitor(app, agent), visitor(app, undefined)]));
    return {
      good: (app) => good.get(app) ?? 0,
      async stop() {
        over.abort();
        await done;
        agent.destroy();
        return others;
      },
    };
  }

  it.each([
    ['killed, with live-restore: no visitor notices', ['--live-restore']],
    ['killed, without live-restore: no visitor notices while it is away, and none is refused for another reason when it comes back', []],
  ])('%s', async (_, extraArgs) => {
    await open(extraArgs);
    const all = await Promise.all(['one', 'two', 'three'].map(build));
    for (const app of all) expect((await visit(app)).text).toBe(own(app));
    const visitors = traffic(all);
    const more = async (what: string, count: number) => {
      const before = all.map(visitors.good);
      await until(what, () => all.every((app, at) => visitors.good(app) >= before[at]! + count), 60_000);
    };
    await more('all are visited', 20);
    await engine.kill();
    await until('pipes has noticed', async () => (await health()) === 'degraded');
    await more('all are visited while it is away', 50);
    const whileAway = await visitors.stop();
    expect(whileAway).toEqual([]);

    const again = traffic(all);
    await engine.start();
    await until('pipes has noticed', async () => (await health()) === 'ok');
    await until('all are visited', () => all.every((app) => again.good(app) >= 50), 60_000);
    const onReturn = await again.stop();
    // Another app's page is no JSON, and would have thrown above.
    if (extraArgs.length > 0) expect(onReturn).toEqual([]);
    else expect(onReturn.filter((answer) => !/^503 engine_unavailable \d+$|^502 upstream_failed/.test(answer))).toEqual([]);
    console.log(`on its return: ${onReturn.length} of ${onReturn.length + all.reduce((sum, app) => sum + again.good(app), 0)} not served ${[...new Set(onReturn)].join(', ')}`);
  });

  it('stopped in order, which ends its containers: who comes meanwhile gets 503 in no time, and is served when it is back', async () => {
    await open([]);
    const all = await Promise.all(['one', 'two'].map(build));
    for (const app of all) expect((await visit(app)).text).toBe(own(app));
    const visitors = traffic(all);
    await until('all are visited', () => all.every((app) => visitors.good(app) >= 20), 60_000);
    await engine.stop();
    const startedMs = performance.now();
    for (const app of all) expect([(await visit(app)).status, performance.now() - startedMs < 10_000]).toEqual([503, true]);
    const before = all.map(visitors.good);
    await engine.start();
    await until('all are visited again', () => all.every((app, at) => visitors.good(app) >= before[at]! + 20), 60_000);
    const others = await visitors.stop();
    expect(others.filter((answer) => !/^503 engine_unavailable \d+$|^502 upstream_failed/.test(answer))).toEqual([]);
    expect(others.length).toBeGreaterThan(0);
  });

  it('and gives an address to another container as it starts: the visitors of the old one never see that', async () => {
    await open([]);
    const containers = new EngineContainers(engine.dockerHost);
    const app = await build('web');
    expect((await visit(app)).text).toBe(own(app));
    const { Id } = await containers.only(app.reference);
    const address = await containers.address(Id);
    // Started by the engine as soon as it comes up, before it answers anything, at the first address that is free.
    const other = await containers.run((await build('other')).image, { HostConfig: { RestartPolicy: { Name: 'always' } }, Labels: { 'pipes.ignore': 'true' } });
    await engine.kill();
    await until('pipes has noticed', async () => (await health()) === 'degraded');
    counting.mute();
    await engine.start();
    expect(await containers.address(other)).toBe(address);

    const askedAtMs = performance.now();
    const visits = Promise.all(Array.from({ length: 5 }, () => visit(app)));
    await until('they have waited longer than for the word of an engine that was never away', () => performance.now() - askedAtMs > 2_000);
    counting.mend();
    for (const answer of await visits) expect(answer.text).toBe(own(app));
    expect((await containers.address(Id))).not.toBe(address);
  });
});

function own(app: App): string {
  return `${app.reference}\n`;
}
