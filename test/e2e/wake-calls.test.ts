import { afterAll, beforeAll, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('calls');
const containers = new EngineContainers(useLab().dockerHost);
let engine: CountingEngine;
let pipes: PipesProcess;
let app: App;

beforeAll(async () => {
  engine = await countCalls(useLab().dockerHost);
  pipes = await startPipes({ dockerHost: engine.dockerHost });
  // What is asked for only once (version, network) is asked for here.
  await visit(await apps.build('first', { from: 'tiny' }));
  app = await apps.build('web', { from: 'mimic' });
});
afterAll(async () => {
  for (const one of [app, apps.app('first')]) await admin(one, 'DELETE', 'container');
  await pipes.stop();
  await engine.close();
});

// A visitor waits for every one of these, so one more is a decision.
it('asks the engine for no more than each kind of wake needs', async () => {
  expect(await callsOf(() => visit(app))).toEqual([
    'GET /containers/json', // has somebody started one by hand?
    'GET image',
    'POST /containers/create',
    'POST container/start',
    'GET container',
  ]);

  await admin(app, 'POST', 'container/stop');
  expect(await callsOf(() => visit(app))).toEqual(['GET container', 'GET image', 'POST container/start', 'GET container']);

  await admin(app, 'PUT', 'container/config', { idle: { pause: '200ms' } });
  await until('it is paused', async () => {
    const [id, ...others] = await containers.of(app.reference);
    return id !== undefined && others.length === 0 && (await containers.inspect(id)).State.Paused;
  });
  // Behind the answer it may look whether its image moved while it slept; nobody waits for that.
  const calls = await callsOf(() => visit(app));
  expect(calls.filter((call, at) => at < 2 || call !== 'GET image')).toEqual(['GET container', 'POST container/unpause']);
});

async function callsOf(what: () => Promise<void>): Promise<string[]> {
  const before = engine.calls().length;
  await what();
  return engine.calls().slice(before).map((call) => call.replace(/\/containers\/[0-9a-f]{64}/, 'container').replace(/\/images\/.*\/json$/, 'image').replace(/^(GET container)\/json$/, '$1'));
}

async function visit(one: App): Promise<void> {
  const { text } = await request(pipes.port, { host: one.host });
  if (one === app) expect(text).toBe(greeting(app));
}

async function admin(one: App, method: string, path: string, body?: object): Promise<void> {
  const answer = await request(pipes.port, { host: one.host, method, path: `/__proxyapi/${path}`, token: pipes.token, ...(body === undefined ? {} : { body }) });
  expect([answer.status, answer.text]).toEqual([200, expect.anything()]);
}
