import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineObstacle, startEngine, type Engine } from '../lab/engine.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { freshConfigDir, startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

/** Whatever happens behind pipes' back, on an engine of our own: it is killed here, and containers are counted. */
describe.skipIf(engineObstacle() !== undefined)('what others do', () => {
  let engine: Engine;
  let counting: CountingEngine;
  let containers: EngineContainers;
  let apps: Apps;
  let pipes: PipesProcess;
  let configDir: string;

  beforeAll(async () => {
    engine = await startEngine({ labDir: useLab().dir, extraArgs: ['--live-restore'] });
    counting = await countCalls(engine.dockerHost);
    containers = new EngineContainers(engine.dockerHost);
    apps = new Apps('take', { dockerHost: engine.dockerHost });
    configDir = freshConfigDir();
    pipes = await boot();
  });
  afterAll(async () => {
    await pipes.stop();
    await counting.close();
    await engine.close();
  });

  const boot = () => startPipes({ dockerHost: counting.dockerHost, configDir });
  const build = (repo: string, env: Record<string, string> = {}) => apps.build(repo, { from: 'tiny', env });
  const visit = (app: App, timeoutMs = 20_000) => request(pipes.port, { host: app.host, timeoutMs });
  const manage = (app: App, path: string, method: string, body?: object) => request(pipes.port, { host: app.host, path: `/__proxyapi${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });
  const own = (app: App) => `${app.reference}\n`;

  /** One GET after the other until it is stopped; an answer that broke off is one, too. */
  function traffic(app: App): { stop(): Promise<string[]> } {
    const answers: string[] = [];
    const over = new AbortController();
    const done = (async () => {
      while (!over.signal.aborted) {
        const answer = await visit(app).catch((error: unknown) => String(error));
        answers.push(describeAnswer(answer));
        await wait(5);
      }
    })();
    return {
      async stop() {
        over.abort();
        await done;
        return answers;
      },
    };
  }

  describe('pipes is killed (-9)', () => {
    it('at any moment of a wake or a replacement: the next one serves, with one container', async () => {
      const app = await build('killed');
      const startedMs = performance.now();
      expect((await visit(app)).text).toBe(own(app));
      const wakeMs = performance.now() - startedMs;
      const rounds = 14;
      for (let round = 0; round < rounds; round += 1) {
        const isReplacement = round % 2 === 1;
        if (!isReplacement) for (const id of await containers.of(app.reference)) await containers.remove(id);
        const interrupted = isReplacement ? manage(app, '/container/config', 'PUT', { env: { ROUND: String(round) } }) : visit(app);
        const outcome = interrupted.catch(() => undefined);
        await wait((round / rounds) * wakeMs * 1.2);
        await pipes.kill();
        await outcome;
        pipes = await boot();
        const answer = await visit(app);
        expect({ round, text: answer.text }).toEqual({ round, text: own(app) });
        await until(`one container is left (round ${round})`, async () => (await containers.of(app.reference)).length === 1, 15_000);
      }
    });

    it('and what ran goes on running, and is served by the next one as it is', async () => {
      const app = await build('kept');
      await visit(app);
      const before = await containers.only(app.reference);
      await pipes.kill();
      pipes = await boot();
      expect((await visit(app)).text).toBe(own(app));
      const after = await containers.only(app.reference);
      expect([after.Id, after.State.StartedAt]).toEqual([before.Id, before.State.StartedAt]);
    });
  });

  describe('its container, under light traffic,', () => {
    const acts: [string, (id: string) => Promise<void>][] = [
      ['is stopped', (id) => containers.stop(id)],
      ['is killed', (id) => containers.kill(id)],
      ['is removed', (id) => containers.remove(id)],
      ['is restarted', (id) => containers.restart(id)],
      ['is paused', (id) => containers.pause(id)],
    ];

    it.each(acts)('%s: the next request is served', async (what, act) => {
      const app = await build(what.replaceAll(' ', '-'));
      await visit(app);
      const { Id } = await containers.only(app.reference);
      const requests = traffic(app);
      for (let time = 0; time < 3; time += 1) {
        const [current = Id] = await containers.of(app.reference);
        await act(current);
        expect(describeAnswer(await visit(app))).toBe(`200 ${own(app)}`);
      }
      const answers = await requests.stop();
      // A request that was inside when it died got what could be said; everything else was served.
      const others = answers.filter((answer) => answer !== `200 ${own(app)}`);
      expect(others.filter((answer) => !/^(?:502 upstream_failed|Error: aborted|Error: the answer broke off)/.test(answer))).toEqual([]);
      expect(others.length).toBeLessThanOrEqual(3);
      await until('one container is left', async () => (await containers.of(app.reference)).length === 1);
    });

    it('is paused while a request is in it: that request comes to its end', async () => {
      const app = await apps.build('paused-inside');
      await visit(app);
      const { Id } = await containers.only(app.reference);
      const slow = request(pipes.port, { host: app.host, path: '/slow?ms=600' });
      await until('it is in', async () => (await manage(app, '/container', 'GET')).json<{ inFlight: number }>().inFlight === 1);
      await containers.pause(Id);
      expect((await request(pipes.port, { host: app.host })).status).toBe(200);
      expect((await slow).text).toBe('slow\n');
    });
  });

  describe('a container that someone started by hand', () => {
    it('is used, and never touched', async () => {
      const app = await build('by-hand');
      const id = await containers.run(app.image, { Env: ['VERSION=by hand'] });
      try {
        expect((await visit(app)).text).toBe('by hand\n');
        const before = await containers.inspect(id);
        expect(await containers.of(app.reference)).toEqual([]);
        expect((await manage(app, '/container', 'GET')).json()).toMatchObject({ state: 'running', managed: false, containerId: id });
        for (const [path, method, body] of [['/container', 'DELETE'], ['/container/stop', 'POST'], ['/container/stop', 'GET'], ['/container/restart', 'POST'], ['/container/config', 'PUT', { env: { A: '1' } }]] as const) {
          const answer = await manage(app, path, method, body);
          expect([path, answer.status, answer.json()['code']]).toEqual([path, 409, 'not_managed']);
        }
        expect((await containers.inspect(id)).State).toEqual(before.State);
        // After a restart of pipes it is found again.
        await pipes.stop();
        pipes = await boot();
        expect((await visit(app)).text).toBe('by hand\n');
        expect((await containers.inspect(id)).State).toEqual(before.State);
        // Once it is stopped by hand, pipes makes its own and leaves that one be.
        await containers.stop(id);
        expect((await visit(app)).text).toBe(own(app));
        expect((await containers.inspect(id)).State.Running).toBe(false);
        // Its own come first from now on.
        await containers.start(id);
        expect((await visit(app)).text).toBe(own(app));
      } finally {
        await containers.remove(id);
      }
    });

    it('is not used with the label pipes.ignore', async () => {
      const app = await build('ignored');
      const id = await containers.run(app.image, { Env: ['VERSION=by hand'], Labels: { 'pipes.ignore': 'true' } });
      try {
        expect((await visit(app)).text).toBe(own(app));
        expect((await containers.inspect(id)).State.Running).toBe(true);
      } finally {
        await containers.remove(id);
      }
    });

    it('is not used with ADOPT_FOREIGN=off', async () => {
      const app = await build('unadopted');
      const id = await containers.run(app.image, { Env: ['VERSION=by hand'] });
      const other = await startPipes({ dockerHost: engine.dockerHost, env: { ADOPT_FOREIGN: 'off' } });
      try {
        expect((await request(other.port, { host: app.host })).text).toBe(own(app));
      } finally {
        await other.stop();
        await containers.remove(id);
      }
    });
  });

  it('the containers of another pipes are neither used nor touched', async () => {
    const app = await build('shared');
    const other = await startPipes({ dockerHost: engine.dockerHost });
    try {
      await request(other.port, { host: app.host });
      const theirs = await containers.only(app.reference);
      expect((await visit(app)).text).toBe(own(app));
      expect(await containers.of(app.reference)).toHaveLength(2);
      expect((await manage(app, '/container', 'DELETE')).json()).toMatchObject({ state: 'absent' });
      expect((await containers.only(app.reference)).State).toEqual(theirs.State);
      await pipes.stop();
      pipes = await boot();
      expect((await containers.only(app.reference)).State).toEqual(theirs.State);
      await until('orphans are named', () => pipes.output().includes('containers of another pipes'));
    } finally {
      await other.stop();
    }
  });

  describe('the events are lost', () => {
    // Without traffic nothing but the loss itself can make pipes look again before the next request.
    it.each(['nobody asks', 'both are asked all the time'])('and two targets swap their addresses while %s: nobody gets the other\'s app', async (when) => {
      const [left, right] = [await build(`left-${when.length}`), await build(`right-${when.length}`)];
      await visit(left);
      await visit(right);
      const ids = { left: (await containers.only(left.reference)).Id, right: (await containers.only(right.reference)).Id };
      const before = { left: await containers.address(ids.left), right: await containers.address(ids.right) };
      const both = when === 'nobody asks' ? [] : [traffic(left), traffic(right)];
      const notice = pipes.output().length;
      counting.cutEvents();
      try {
        await until('pipes has noticed', () => pipes.output().slice(notice).includes('the engine no longer tells what happens'));
        await until('they have swapped', async () => {
          await Promise.all([containers.stop(ids.left), containers.stop(ids.right)]);
          // Whoever starts first gets the lowest address that is free.
          const [first, second] = lastByte(before.left) < lastByte(before.right) ? [ids.right, ids.left] : [ids.left, ids.right];
          await containers.start(first);
          await containers.start(second);
          return (await containers.address(ids.left)) === before.right && (await containers.address(ids.right)) === before.left;
        }, 30_000);
        for (const app of [left, right]) expect((await visit(app)).text).toBe(own(app));
      } finally {
        counting.mend();
      }
      await until('the events are back', () => pipes.output().slice(notice).includes('the engine tells its events again'));
      for (const app of [left, right]) expect((await visit(app)).text).toBe(own(app));
      for (const [index, requests] of both.entries()) {
        const app = [left, right][index]!;
        const answers = await requests.stop();
        expect(answers.filter((answer) => answer.startsWith('200') && answer !== `200 ${own(app)}`)).toEqual([]);
        expect(answers).toContain(`200 ${own(app)}`);
      }
    });
  });

  it('the engine hangs: warm targets are served all the same, and what has to start once it goes on', async () => {
    const [warm, cold] = [await build('warm'), await build('waits')];
    await visit(warm);
    engine.freeze();
    let waking: Promise<Answer>;
    try {
      waking = visit(cold);
      for (let count = 0; count < 5; count += 1) expect(describeAnswer(await visit(warm))).toBe(`200 ${own(warm)}`);
    } finally {
      engine.thaw();
    }
    expect(describeAnswer(await waking)).toBe(`200 ${own(cold)}`);
  });

  describe('the engine is killed (-9)', () => {
    it('and warm targets are served while it is away; what died meanwhile is woken once it is back', async () => {
      const [stays, dies, cold] = [await build('stays'), await build('dies'), await build('cold')];
      await visit(stays);
      await visit(dies);
      const before = { stays: await containers.only(stays.reference), dies: await containers.only(dies.reference) };
      await engine.kill();
      try {
        for (let count = 0; count < 5; count += 1) for (const app of [stays, dies]) expect(describeAnswer(await visit(app))).toBe(`200 ${own(app)}`);
        expect(describeAnswer(await visit(cold))).toMatch(/^503 engine_unavailable/);
        process.kill(before.dies.State.Pid, 'SIGKILL');
        expect(describeAnswer(await until('it has died', async () => {
          const answer = await visit(dies);
          return answer.status === 200 ? undefined : answer;
        }))).toMatch(/^(?:503 engine_unavailable|502 upstream_failed)/);
        expect(describeAnswer(await visit(dies))).toMatch(/^503 engine_unavailable/);
      } finally {
        await engine.start();
      }
      for (const app of [stays, dies, cold]) {
        await until(`${app.reference} is served`, async () => (await visit(app)).text === own(app));
        await containers.only(app.reference);
      }
      expect((await containers.only(stays.reference)).State.StartedAt).toBe(before.stays.State.StartedAt);
    });
  });
});

function lastByte(address: string): number {
  return Number(address.split('.').at(-1));
}

function describeAnswer(answer: Answer | string): string {
  if (typeof answer === 'string') return answer;
  if (answer.status === 200) return `200 ${answer.text}`;
  return `${answer.status} ${answer.text.startsWith('{') ? String(answer.json()['code']) : answer.text}`;
}
