import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { freshConfigDir, startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { moveTag } from '../lab/registry-tags.ts';
import { until } from '../lab/until.ts';

const MIB = 1024 ** 2;
const lab = useLab();
const apps = new Apps('disk');
const containers = new EngineContainers(lab.dockerHost);
const configDir = freshConfigDir();
/** 22 MiB each, of which they share two. */
const heavy = { from: 'tiny', ballastBytes: 20 * MIB } as const;
let pipes: PipesProcess;

beforeAll(async () => {
  pipes = await startPipes({ configDir, env: { IMAGE_DISK: '50m', PULL_REFRESH: '300ms', DRAIN_TIMEOUT: '1s' } });
});
afterAll(() => pipes.stop());

const visit = async (app: App) => (await request(pipes.port, { host: app.host })).status;
const isHere = async (app: App) => (await apps.images.id(app.image)) !== undefined;
const removeContainer = (app: App) => request(pipes.port, { host: app.host, path: '/__proxyapi/container', method: 'DELETE', token: pipes.token });

describe('IMAGE_DISK', () => {
  it('removes nothing that is used, and the rest as soon as nobody uses it; what is asked for again is pulled again', async () => {
    const [one, two, three] = [await apps.publish('one', heavy), await apps.publish('two', heavy), await apps.publish('three', heavy)];
    for (const app of [one, two, three]) expect(await visit(app)).toBe(200);
    await until('it says that it cannot keep within', () => pipes.output().includes('all of them are in use'));
    expect(await Promise.all([one, two, three].map(isHere))).toEqual([true, true, true]);
    // A stopped container has its image still.
    await request(pipes.port, { host: one.host, path: '/__proxyapi/container/stop', method: 'POST', token: pipes.token });
    await removeContainer(two);
    await until('its image is gone', async () => !(await isHere(two)));
    expect(await Promise.all([one, three].map(isHere))).toEqual([true, true]);
    expect(await visit(one)).toBe(200);
    expect(await visit(two)).toBe(200);
    expect(await isHere(two)).toBe(true);
    for (const app of [one, two, three]) await removeContainer(app);
  });

  it('removes what a moved tag left behind', async () => {
    const [old, young] = [await apps.publish('moved', heavy, 'old'), await apps.publish('moved', heavy, 'young')];
    const app = apps.app('moved');
    const move = (meant: string) => moveTag(lab.openRegistry, `${apps.user}/moved`, 'main', meant);
    const other = await apps.publish('other', heavy);
    await move('old');
    expect(await visit(other)).toBe(200);
    expect((await request(pipes.port, { host: app.host })).text).toBe(`${old.reference}\n`);
    const before = (await apps.images.id(app.image))!;
    await move('young');
    await until('the new one serves', async () => (await request(pipes.port, { host: app.host })).text === `${young.reference}\n`);
    await until('the leftover is gone', async () => (await apps.images.id(before)) === undefined, 20_000);
    expect([await isHere(app), await isHere(other)]).toEqual([true, true]);
    for (const each of [app, other]) await removeContainer(each);
  });

  it('never removes what somebody else brought, also after a restart', async () => {
    const mine = await apps.build('mine', heavy);
    const pulled = [await apps.publish('first', heavy), await apps.publish('second', heavy)];
    for (const app of [mine, ...pulled]) expect(await visit(app)).toBe(200);
    await pipes.stop();
    // It remembers what it pulled, and looks at the start.
    pipes = await startPipes({ configDir, env: { IMAGE_DISK: '1m', DRAIN_TIMEOUT: '1s' } });
    for (const app of [mine, ...pulled]) await removeContainer(app);
    await until('what it pulled is gone', async () => !(await isHere(pulled[0]!)) && !(await isHere(pulled[1]!)));
    expect(await isHere(mine)).toBe(true);
    expect(await containers.of(mine.reference)).toEqual([]);
  });
});
