import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineObstacle, startEngine, type Engine } from '../lab/engine.ts';
import { freezeProcessesWith } from '../lab/frozen-cgroup.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

/** An engine of our own is frozen: it takes connections and answers nothing. Or it freezes a container and does not live to know that. */
describe.skipIf(engineObstacle() !== undefined)('an engine', () => {
  let engine: Engine;
  let counting: CountingEngine;
  let containers: EngineContainers;
  let apps: Apps;
  let pipes: PipesProcess;

  beforeAll(async () => {
    engine = await startEngine({ labDir: useLab().dir, extraArgs: ['--live-restore'] });
    counting = await countCalls(engine.dockerHost);
    containers = new EngineContainers(engine.dockerHost);
    apps = new Apps('hung', { dockerHost: engine.dockerHost });
    pipes = await startPipes({ dockerHost: counting.dockerHost });
  });
  afterAll(async () => {
    engine.thaw();
    await pipes.stop();
    await counting.close();
    await engine.close();
  });

  const build = (repo: string) => apps.build(repo, { from: 'tiny' });
  const visit = (app: App, timeoutMs = 60_000) => request(pipes.port, { host: app.host, timeoutMs });
  const manage = (app: App, path: string, method: string, body?: object) => request(pipes.port, { host: app.host, path: `/__proxyapi${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });
  const warm = async (repo: string): Promise<App> => {
    const app = await build(repo);
    expect((await visit(app)).text).toBe(own(app));
    return app;
  };

  it('that is frozen: what is warm is served, what has to start gets 503 in bounded time, and afterwards all is well', async () => {
    const app = await warm('warm');
    const cold = await build('cold');
    engine.freeze();
    try {
      const asked = visit(cold);
      let isOver = false;
      void asked.finally(() => (isOver = true));
      let served = 0;
      await until('the cold one has its answer', async () => {
        expect((await visit(app, 5_000)).text).toBe(own(app));
        served += 1;
        return isOver;
      }, 55_000);
      const answer = await asked;
      expect([answer.status, answer.json()]).toMatchObject([503, { code: 'engine_unavailable' }]);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(served).toBeGreaterThan(20);
    } finally {
      engine.thaw();
    }
    for (const one of [app, cold]) {
      expect((await visit(one)).text).toBe(own(one));
      await until('one container is there', async () => (await containers.of(one.reference)).length === 1);
    }
  });

  it('that is frozen in the middle of a start and goes on: who waited is served', async () => {
    const app = await warm('other');
    const cold = await build('started');
    const held = counting.hold(/^POST \/containers\/[0-9a-f]+\/start$/, 'before');
    const asked = visit(cold);
    await held.reached;
    engine.freeze();
    try {
      held.goOn();
      expect((await visit(app, 5_000)).text).toBe(own(app));
    } finally {
      engine.thaw();
    }
    expect((await asked).text).toBe(own(cold));
  });

  it('that is killed when it has frozen a container and does not know that yet: the app is not frozen for ever', async () => {
    const app = await build('frozen');
    await manage(app, '/container/config', 'PUT', { idle: { pause: '300ms' } });
    const held = counting.hold(/^POST \/containers\/[0-9a-f]+\/pause$/, 'before');
    expect((await visit(app)).text).toBe(own(app));
    await held.reached;
    const { Id, State: { Pid } } = await containers.only(app.reference);
    await engine.kill();
    held.cut();
    freezeProcessesWith(Pid);
    await engine.start();
    expect((await containers.inspect(Id)).State).toMatchObject({ Running: true, Paused: false, Pid });
    expect((await visit(app, 20_000)).text).toBe(own(app));
  });
});

function own(app: App): string {
  return `${app.reference}\n`;
}
