import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('quiet');
const containers = new EngineContainers(useLab().dockerHost);
const PROBE = { 'user-agent': 'kube-probe/1.30' };

let pipes: PipesProcess;

beforeAll(async () => {
  pipes = await startPipes({ env: { IDLE_PAUSE: '1500ms', QUIET: 'default, MyMonitor, /ping' } });
});
afterAll(() => pipes.stop());

const visit = (host: string, headers: Record<string, string> = {}, path = '/') => request(pipes.port, { host, path, headers });

describe('a health check', () => {
  it('gets the app while it runs, and does not keep it awake; asleep it stays asleep, until somebody comes', async () => {
    const app = await apps.build('checked');
    expect((await visit(app.host)).text).toBe(greeting(app));
    expect((await visit(app.host, PROBE)).text).toBe(greeting(app));
    const refused = await until('it sleeps although it is checked all the time', async () => {
      const answer = await visit(app.host, PROBE);
      return answer.status === 503 ? answer : undefined;
    });
    expect(refused.json()).toMatchObject({ code: 'target_asleep' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    for (const [headers, path] of [[PROBE, '/'], [{ 'user-agent': 'mymonitor/2.1' }, '/'], [{}, '/ping?deep=1'], [{}, '/favicon.ico']] as const) expect((await visit(app.host, headers, path)).status).toBe(503);
    await until('it is paused', async () => (await containers.only(app.reference)).State.Paused);
    expect((await visit(app.host)).text).toBe(greeting(app));
  });

  it('of a target that was never used pulls nothing', async () => {
    const app = await apps.publish('unused', { from: 'tiny' });
    expect((await visit(app.host, PROBE)).json()).toMatchObject({ code: 'target_asleep' });
    expect(await apps.images.id(app.image)).toBeUndefined();
    expect(await containers.of(app.reference)).toEqual([]);
  });
});
