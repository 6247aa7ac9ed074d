import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineHttp } from '../lab/engine-http.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { freshConfigDir, startPipes, type PipesOptions, type PipesProcess } from '../lab/pipes-process.ts';
import { moveTag } from '../lab/registry-tags.ts';
import { until } from '../lab/until.ts';

/**
 * Containers of others, of the very image and reference that pipes runs, through everything by which pipes stops, replaces or
 * removes its own. The engine itself is asked whether anything happened to them.
 */

const lab = useLab();
const containers = new EngineContainers(lab.dockerHost);
/** 2 MB, more than IMAGE_DISK here. */
const tiny = { from: 'tiny' } as const;
const short = { idle: { pause: '200ms', stop: '500ms', remove: '1s' } };

/** What is not to change, and since when. */
interface Bystanders {
  readonly ids: Readonly<Record<string, string>>;
  readonly before: unknown;
  readonly since: number;
}

async function lookAt(ids: readonly string[]): Promise<unknown> {
  return await Promise.all(ids.map(async (id) => {
    const { Name, State, RestartCount, Config, HostConfig, NetworkSettings } = await containers.inspect(id);
    const networks = Object.entries(NetworkSettings.Networks).map(([name, { IPAddress }]) => [name, IPAddress]);
    return { Name, State, RestartCount, labels: Config.Labels, HostConfig, networks };
  }));
}

async function watch(ids: Readonly<Record<string, string>>): Promise<Bystanders> {
  return { ids, before: await lookAt(Object.values(ids)), since: Date.now() / 1000 };
}

/** Everything that the engine did to them since then, none of which looks may have been the doing of this test. */
async function expectUntouched({ ids, before, since }: Bystanders): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ type: ['container'], container: Object.values(ids) }));
  const events = (await engineHttp(lab.dockerHost, `/events?since=${since.toFixed(3)}&until=${(Date.now() / 1000).toFixed(3)}&filters=${filters}`)).text();
  const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]));
  const happened = events.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { Action: string; Actor: { ID: string } });
  expect(happened.map(({ Action, Actor }) => `${names.get(Actor.ID) ?? '?'}: ${Action}`)).toEqual([]);
  expect(await lookAt(Object.values(ids))).toEqual(before);
}

/** Ids of the containers that this pipes made, of one app. */
async function ownOf(pipes: PipesProcess, app: App): Promise<string[]> {
  const { owner } = JSON.parse(readFileSync(join(pipes.configDir, 'pipes.json'), 'utf8')) as { owner: string };
  const filters = encodeURIComponent(JSON.stringify({ label: [`pipes.owner=${owner}`, `pipes.reference=${app.reference}`] }));
  return ((await engineHttp(lab.dockerHost, `/containers/json?all=true&filters=${filters}`)).json() as { Id: string }[]).map(({ Id }) => Id);
}

describe('containers of others', () => {
  const apps = new Apps('others');
  const configDir = freshConfigDir();
  const env: PipesOptions['env'] = { ADOPT_FOREIGN: 'off', MAX_RUNNING: '1', IMAGE_DISK: '1m', PULL_REFRESH: '300ms', DRAIN_TIMEOUT: '1s' };
  let app: App;
  let other: App;
  let broken: App;
  let pipes: PipesProcess;
  let bystanders: Bystanders;
  let oldImage: string;

  const visit = (which: App): Promise<Answer> => request(pipes.port, { host: which.host });
  const manage = (path: string, method: string, body?: object, which = app): Promise<Answer> => request(pipes.port, { host: which.host, path: `/__proxyapi${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });
  const state = async (which = app): Promise<unknown> => (await manage('/container', 'GET', undefined, which)).json()['state'];

  beforeAll(async () => {
    app = apps.app('web');
    [, , other] = await Promise.all([apps.publish('web', tiny, 'old'), apps.publish('web', tiny, 'young'), apps.publish('other', tiny)]);
    await moveTag(lab.openRegistry, `${apps.user}/web`, 'main', 'old');
    broken = await apps.build('broken', { from: 'tiny', command: ['/bin/sh', '-c', 'exit 3'] });
    // Present as pipes itself would have brought it, so that all of them are of the image that its own is of.
    pipes = await startPipes({ configDir, env });
    expect((await visit(app)).status).toBe(200);
    oldImage = (await apps.images.id(app.image))!;
    const theirs = (reference: string) => ({ 'pipes.owner': 'an-owner-that-is-not-this-one', 'pipes.managed': 'true', 'pipes.reference': reference, 'pipes.config': 'x', 'pipes.port': '80' });
    const plans = {
      'of another pipes, running': theirs(app.reference),
      'of another pipes, paused': theirs(app.reference),
      'of another pipes, stopped': theirs(app.reference),
      'of another pipes, for another app': theirs(other.reference),
      'labelled as managed, without an owner': { 'pipes.managed': 'true', 'pipes.reference': app.reference, 'pipes.port': '80' },
      'without a label, running': {},
      'without a label, paused': {},
      'without a label, stopped': {},
      'without a label, to be ignored': { 'pipes.ignore': 'true' },
    };
    const made = await Promise.all(Object.entries(plans).map(async ([name, Labels]) => [name, await containers.run(app.image, { Labels })] as const));
    const ids = Object.fromEntries(made) as Record<keyof typeof plans, string>;
    for (const kind of ['of another pipes', 'without a label'] as const) {
      await containers.pause(ids[`${kind}, paused`]);
      await containers.kill(ids[`${kind}, stopped`]);
      await until('it has ended', async () => !(await containers.inspect(ids[`${kind}, stopped`])).State.Running);
    }
    // By its name it looks like one of ours.
    await engineHttp(lab.dockerHost, `/containers/${ids['without a label, running']}/rename?name=pipes-${apps.user}-web-main-abcdef`, { method: 'POST' });
    bystanders = await watch(ids);
  });
  afterAll(async () => {
    await pipes.stop();
    const own = (await Promise.all([app, other, broken].map((each) => containers.of(each.reference)))).flat();
    await Promise.all([...own, ...Object.values(bystanders.ids)].map((id) => containers.remove(id)));
  });

  it('stay as they are when pipes starts, also after kill -9, and are spoken of once', async () => {
    await pipes.kill();
    pipes = await startPipes({ configDir, env });
    await until('it names those of another pipes', () => pipes.output().includes('containers of another pipes are on this engine and are left alone'));
    expect(await state()).toBe('running');
    expect((await visit(app)).status).toBe(200);
    expect(await ownOf(pipes, app)).toHaveLength(1);
    const listed = (await request(pipes.port, { host: 'localhost', path: '/containers', token: pipes.token })).json<{ containerId: string }[]>();
    expect(listed.filter(({ containerId }) => Object.values(bystanders.ids).includes(containerId))).toEqual([]);
    await expectUntouched(bystanders);
  });

  it('stay when its own is stopped, started and restarted, and when a configuration replaces it', async () => {
    for (const [path, method, body] of [['/container/stop', 'POST'], ['/container/start', 'POST'], ['/container/restart', 'POST'], ['/container/config', 'PUT', { env: { A: '1' } }], ['/repository/config?restart=true', 'PUT', { env: { B: '1' } }]] as const) {
      expect([path, (await manage(path, method, body)).status]).toEqual([path, 200]);
    }
    await until('what was replaced is gone', async () => (await ownOf(pipes, app)).length === 1, 30_000);
    await expectUntouched(bystanders);
  });

  it('are not counted by MAX_RUNNING, and are not what makes room', async () => {
    expect((await visit(other)).status).toBe(200);
    await until('its own made room', async () => (await state()) !== 'running');
    expect((await visit(app)).status).toBe(200);
    await until('and the other one', async () => (await state(other)) !== 'running');
    await expectUntouched(bystanders);
  });

  it('stay when a start fails, and when what failed is taken away', async () => {
    expect((await visit(broken)).json()).toMatchObject({ code: 'instance_failed' });
    expect((await manage('/container/start', 'POST', undefined, broken)).json()).toMatchObject({ code: 'instance_failed' });
    expect((await manage('/container', 'DELETE', undefined, broken)).status).toBe(200);
    await expectUntouched(bystanders);
  });

  it('stay when the tag moves, with the image that they are made from', async () => {
    expect((await visit(app)).status).toBe(200);
    await moveTag(lab.openRegistry, `${apps.user}/web`, 'main', 'young');
    await until('the new one serves', async () => (await visit(app)).text === `${apps.user}/web:young\n`);
    await until('the old one is gone', async () => (await ownOf(pipes, app)).length === 1, 30_000);
    await expectUntouched(bystanders);
  });

  it('stay when its own fall asleep and are removed', async () => {
    expect((await manage('/container/config', 'PUT', short)).status).toBe(200);
    expect((await visit(app)).status).toBe(200);
    await until('its own is removed', async () => (await ownOf(pipes, app)).length === 0, 30_000);
    await expectUntouched(bystanders);
  });

  it('stay when IMAGE_DISK takes images away, and keep theirs', async () => {
    expect((await manage('/container', 'DELETE', undefined, other)).status).toBe(200);
    await until('an image that nobody uses is gone', async () => (await apps.images.id(other.image)) === undefined, 30_000);
    expect((await engineHttp(lab.dockerHost, `/images/${oldImage}/json`)).status).toBe(200);
    await expectUntouched(bystanders);
  });

  it('are no container of the target: nothing can be done to them by its API', async () => {
    await until('it has none of its own', async () => (await state()) === 'absent', 30_000);
    expect((await manage('/container/stop', 'POST')).json()).toMatchObject({ state: 'absent' });
    expect((await manage('/container', 'DELETE')).json()).toMatchObject({ state: 'absent' });
    expect((await manage('/container/logs', 'GET')).status).toBe(404);
    await expectUntouched(bystanders);
  });
});

describe('a container that someone started by hand and that pipes uses', () => {
  const apps = new Apps('byhand');
  let app: App;
  let other: App;
  let pipes: PipesProcess;
  let bystanders: Bystanders;

  beforeAll(async () => {
    app = apps.app('web');
    [, , other] = await Promise.all([apps.publish('web', tiny, 'old'), apps.publish('web', tiny, 'young'), apps.publish('other', tiny)]);
    await moveTag(lab.openRegistry, `${apps.user}/web`, 'main', 'old');
    pipes = await startPipes({ env: { MAX_RUNNING: '1', IMAGE_DISK: '1m', PULL_REFRESH: '300ms', DRAIN_TIMEOUT: '1s', IDLE_PAUSE: '200ms', IDLE_STOP: '500ms', IDLE_REMOVE: '1s' } });
    expect((await request(pipes.port, { host: app.host })).status).toBe(200);
    const id = await containers.run(app.image, { Env: ['VERSION=by hand'] });
    await until('its own is gone', async () => (await containers.of(app.reference)).length === 0, 30_000);
    bystanders = await watch({ 'started by hand': id });
  });
  afterAll(async () => {
    await pipes.stop();
    for (const each of [app, other]) for (const id of await containers.of(each.reference)) await containers.remove(id);
    for (const id of Object.values(bystanders.ids)) await containers.remove(id);
  });

  it('serves, and outlives idleness, MAX_RUNNING, a tag that moves, and every order', async () => {
    const visit = async (which: App): Promise<string> => (await request(pipes.port, { host: which.host })).text;
    expect(await visit(app)).toBe('by hand\n');
    // Its own, used at the same time, shows when an idle one would have been gone.
    expect(await visit(other)).toBe(`${other.reference}\n`);
    await moveTag(lab.openRegistry, `${apps.user}/web`, 'main', 'young');
    await until('its own is gone', async () => (await containers.of(other.reference)).length === 0, 30_000);
    expect(await visit(app)).toBe('by hand\n');
    for (const [path, method] of [['', 'DELETE'], ['/stop', 'POST'], ['/restart', 'POST']] as const) {
      const answer = await request(pipes.port, { host: app.host, path: `/__proxyapi/container${path}`, method, token: pipes.token });
      expect([path, answer.status, answer.json()['code']]).toEqual([path, 409, 'not_managed']);
    }
    await expectUntouched(bystanders);
    await pipes.stop();
    await expectUntouched(bystanders);
  });
});
