import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { TimeOfDay } from '../lab/time-of-day.ts';
import { until } from '../lab/until.ts';
import { openWebSocket } from '../lab/web-socket.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START = /^POST \/containers\/[0-9a-f]+\/start$/;
const PULL = /^POST \/images\/create$/;

const apps = new Apps('clock');
const containers = new EngineContainers(useLab().dockerHost);
const clock = new TimeOfDay();
let engine: CountingEngine;
let pipes: PipesProcess;

beforeAll(async () => {
  engine = await countCalls(useLab().dockerHost);
  pipes = await startPipes({ ...clock.options(), dockerHost: engine.dockerHost });
});
afterAll(async () => {
  await pipes.stop();
  await engine.close();
});

const visit = (app: App, path = '/') => request(pipes.port, { host: app.host, path });
const manage = (app: App, path: string, method = 'GET', body?: object) => request(pipes.port, { host: app.host, path: `/__proxyapi/container${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });
const stateOf = async (app: App): Promise<string> => (await manage(app, '')).json<{ state: string }>().state;
const falls = (app: App, into: string) => until(`${app.reference} is ${into}`, async () => (await stateOf(app)) === into, 20_000);
const set = (offsetMs: number) => clock.set(pipes, offsetMs, () => request(pipes.port, { host: 'localhost', path: '/health' }));

describe('a time of day that jumps', () => {
  it('puts nothing to sleep before its time, nor keeps it awake, and fails no request', async () => {
    const [busy, resting, dozing] = await Promise.all([apps.build('busy'), apps.build('resting', { from: 'tiny' }), apps.build('dozing', { from: 'tiny' })]);
    // It falls asleep after half a second.
    expect((await manage(dozing, '/config', 'PUT', { idle: { pause: '500ms' } })).status).toBe(200);
    for (const app of [busy, resting, dozing]) expect((await visit(app)).status).toBe(200);
    const before = [await containers.only(busy.reference), await containers.only(resting.reference)];
    const lines = pipes.logLines().length;
    const over = new AbortController();
    const answers: Answer[] = [];
    const traffic = (async () => {
      while (!over.signal.aborted) {
        answers.push(await visit(busy));
        await wait(5);
      }
    })();
    const socket = await openWebSocket(pipes.port, busy.host);
    for (const offsetMs of [DAY_MS, 0, -DAY_MS, 0, HOUR_MS, 0, -HOUR_MS]) {
      await visit(dozing);
      await set(offsetMs);
      await falls(dozing, 'paused');
      expect([await stateOf(busy), await stateOf(resting)]).toEqual(['running', 'running']);
      // Shown by the clock as it is now.
      const { lastUsedAt } = (await manage(resting, '')).json<{ lastUsedAt: string }>();
      expect(Math.abs(Date.parse(lastUsedAt) - Date.now() - offsetMs)).toBeLessThan(120_000);
      socket.send('still here');
      expect((await socket.next()).toString()).toBe('still here');
    }
    over.abort();
    await traffic;
    await socket.close();

    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set([`200 ${greeting(busy)}`]));
    const requests = pipes.logLines().slice(lines).filter((line) => line['msg'] === 'request' && line['ref'] === busy.reference);
    expect(requests.length).toBeGreaterThan(10);
    for (const { ms } of requests) expect(ms).toBeGreaterThanOrEqual(0);
    for (const { Id, State } of before) expect((await containers.inspect(Id)).State).toMatchObject({ Running: true, Paused: false, StartedAt: State.StartedAt });
  });

  it.each([{ way: 'ahead', offsetMs: DAY_MS }, { way: 'back', offsetMs: -DAY_MS }])('neither shortens nor stretches a back-off, how long a missing image is remembered, or a start (a day $way)', async ({ way, offsetMs }) => {
    await set(0);
    const [absent, late, fails] = [apps.app(`absent-${way}`), await apps.build(`late-${way}`, { env: { LISTEN_AFTER_MS: '1000' } }), await apps.build(`fails-${way}`, { from: 'tiny', command: ['/bin/sh', '-c', 'exit 3'] })];
    expect((await visit(absent)).status).toBe(404);
    const pulls = engine.count(PULL);
    const starting = visit(late);
    await until('it starts', async () => (await stateOf(late)) === 'starting');
    expect((await visit(fails)).json()).toMatchObject({ code: 'instance_failed', exitCode: 3 });
    const failedAtMs = performance.now();
    const starts = engine.count(START);
    await set(offsetMs);
    const again = await visit(fails);
    // A machine that stalls for two seconds just here has really waited them out.
    if (performance.now() - failedAtMs < 1_900) expect(engine.count(START)).toBe(starts);
    expect(Number(again.headers['retry-after'])).toBeLessThanOrEqual(4);
    expect((await starting).text).toBe(greeting(late));
    await until('it is tried again', async () => {
      await visit(fails);
      return engine.count(START) > starts;
    }, 20_000, 100);
    expect((await visit(absent)).status).toBe(404);
    if (performance.now() - failedAtMs < 25_000) expect(engine.count(PULL)).toBe(pulls);
  });
});

describe('what has a date', () => {
  it('follows the time of day: a token ends when its clock says so', async () => {
    await set(0);
    const api = (path: string, method: string, token: string, body?: object) => request(pipes.port, { host: 'localhost', path: `/__proxyapi${path}`, method, token, ...(body === undefined ? {} : { body }) });
    const { token } = (await api('/tokens', 'POST', pipes.token, { name: 'short', scopes: ['read:*/*'], expires: '1h' })).json<{ token: string }>();
    expect((await api('/containers', 'GET', token)).status).toBe(200);
    await set(DAY_MS);
    expect((await api('/containers', 'GET', token)).status).toBe(401);
    expect((await api('/containers', 'GET', pipes.token)).status).toBe(200);
    await set(0);
    expect((await api('/containers', 'GET', token)).status).toBe(200);
  });
});
