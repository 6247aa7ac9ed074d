import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineHttp } from '../lab/engine-http.ts';
import { freePort } from '../lab/free-port.ts';
import { request } from '../lab/http-client.ts';
import { labDirectory, useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { moveTag } from '../lab/registry-tags.ts';
import { startRegistry, type Registry } from '../lab/registry.ts';
import { until } from '../lab/until.ts';
import { runReplacements } from '../soak/replacements.ts';

/** `make soak` has it a minute long, with 200 requests a second and 20 replacements. */
const isLong = process.env['SOAK_MINUTES'] !== undefined;
const SECRET = 'moving-tags-webhook-secret';
const lab = useLab();
const containers = new EngineContainers(lab.dockerHost);
let registry: Registry;
let apps: Apps;
/** Told by its registry. */
let pipes: PipesProcess;
const volumes: string[] = [];

beforeAll(async () => {
  const port = await freePort();
  registry = await startRegistry({ labDir: labDirectory('moving'), notifies: { url: `http://localhost:${port}/webhooks/registry`, authorization: `Bearer ${SECRET}` } });
  apps = new Apps('moving', { registry: registry.host });
  pipes = await startPipes({ port, env: { REGISTRY: registry.host, WEBHOOK_SECRET: SECRET, DRAIN_TIMEOUT: '10s' } });
});
afterAll(async () => {
  await pipes.stop();
  // An image whose tag has moved on has no name to find its container by.
  for (const repo of ['told', 'broken', 'volume', 'sleeping', 'late']) for (const id of await containers.of(apps.app(repo).reference)) await containers.remove(id);
  await apps.images.removeAllFrom([registry.host]);
  for (const name of volumes) await engineHttp(lab.dockerHost, `/volumes/${name}?force=true`, { method: 'DELETE' });
  await registry.stop();
});

const state = async (app: App, from = pipes) => (await request(from.port, { host: app.host, path: '/__proxyapi/container', token: from.token })).json<{ state: string; digest: string; error: { code: string } | null }>();
const whoAnswers = async (app: App, from = pipes) => (await request(from.port, { host: app.host, path: '/whoami' })).json<{ version: string }>().version;
const move = (repo: string, meant: string) => moveTag(registry.host, `${apps.user}/${repo}`, 'main', meant);
const answers = (app: App, version: App) => until(`${version.reference} answers`, async () => (await whoAnswers(app)) === version.reference);

describe('a tag that moves under load', () => {
  it('fails no request, told by the real registry', async () => {
    const [perS, forMs, replacements] = isLong ? [200, 60_000, 20] : [100, 12_000, 5];
    const outcome = await runReplacements({ apps, repo: 'told', registry: registry.host, dockerHost: lab.dockerHost, pipesPort: pipes.port, perS, forMs, replacements });
    expect(outcome.failures).toEqual([]);
    // The load ends with its clock, which may leave the last few unsent.
    expect(outcome.requests).toBeGreaterThan((0.98 * perS * forMs) / 1000);
    expect(outcome.versions).toHaveLength(6);
    expect([outcome.answersInTheEnd, outcome.containersInTheEnd]).toEqual([outcome.last, 1]);
  }, 180_000);

  it('fails no request, found by PULL_REFRESH', async () => {
    const asking = await startPipes({ env: { PULL_REFRESH: '500ms', DRAIN_TIMEOUT: '10s' } });
    try {
      const own = new Apps('asked');
      const outcome = await runReplacements({ apps: own, repo: 'asked', registry: lab.openRegistry, dockerHost: lab.dockerHost, pipesPort: asking.port, perS: 100, forMs: 12_000, replacements: 5 });
      expect(outcome.failures).toEqual([]);
      expect(outcome.versions).toHaveLength(6);
      expect([outcome.answersInTheEnd, outcome.containersInTheEnd]).toEqual([outcome.last, 1]);
    } finally {
      await asking.stop();
    }
  });
});

describe('a tag that moves', () => {
  it('to an image that fails leaves the old one serving, and the state says why until it moves on', async () => {
    const app = apps.app('broken');
    const good = await apps.publish('broken', {}, 'good');
    await apps.publish('broken', { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '7' } }, 'bad');
    const better = await apps.publish('broken', {}, 'better');
    await move('broken', 'good');
    expect(await whoAnswers(app)).toBe(good.reference);
    const before = await containers.only(app.reference);
    await move('broken', 'bad');
    await until('the state says so', async () => (await state(app)).error?.code === 'instance_failed');
    expect(await whoAnswers(app)).toBe(good.reference);
    expect((await containers.only(app.reference)).Id).toBe(before.Id);
    // Nor is it what the next start brings.
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container/stop', method: 'POST', token: pipes.token });
    expect(await whoAnswers(app)).toBe(good.reference);
    expect(await state(app)).toMatchObject({ state: 'running', error: { code: 'instance_failed' } });
    await move('broken', 'better');
    await answers(app, better);
    expect((await state(app)).error).toBeNull();
  });

  it('holds requests where a writable volume is mounted, and never runs two on it', async () => {
    const app = apps.app('volume');
    const counting = ['/bin/sh', '-c', 'echo "$VERSION" >> /data/starts; [ -e /data/running ] && echo twice >> /data/starts; echo > /data/running; trap "rm /data/running; exit" TERM; mkdir -p /www; ln -sf /data/starts /www/starts; httpd -p 80 -h /www; while :; do sleep 0.05; done'];
    const [one, two] = [await apps.publish('volume', { from: 'tiny', command: counting }, 'one'), await apps.publish('volume', { from: 'tiny', command: counting }, 'two')];
    volumes.push(`pipes..${apps.user}..volume..data`);
    await move('volume', 'one');
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { volumes: ['data:/data'] } });
    const starts = () => request(pipes.port, { host: app.host, path: '/starts' });
    expect((await starts()).text).toBe(`${one.reference}\n`);
    await move('volume', 'two');
    const statuses = new Set<number>();
    await until('the new one serves', async () => {
      const answer = await starts();
      statuses.add(answer.status);
      return answer.text.includes(two.reference);
    }, 20_000, 5);
    expect([...statuses]).toEqual([200]);
    expect((await starts()).text).toBe(`${one.reference}\n${two.reference}\n`);
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container', method: 'DELETE', token: pipes.token });
  });

  it('is looked for after the wake of what was stopped; what is paused is not woken', async () => {
    const app = apps.app('sleeping');
    const [one, two, three] = [await apps.publish('sleeping', {}, 'one'), await apps.publish('sleeping', {}, 'two'), await apps.publish('sleeping', {}, 'three')];
    await move('sleeping', 'one');
    await whoAnswers(app);
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container/stop', method: 'POST', token: pipes.token });
    const told = () => pipes.logLines().filter(({ path }) => path === '/webhooks/registry').length;
    const before = told();
    await move('sleeping', 'two');
    await until('pipes was told', () => told() > before);
    expect(await whoAnswers(app)).toBe(one.reference);
    await answers(app, two);
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { idle: { pause: '300ms' } } });
    await until('it is paused', async () => (await state(app)).state === 'paused');
    const older = await apps.images.id(app.image);
    await move('sleeping', 'three');
    await until('its image is here', async () => (await apps.images.id(app.image)) !== older);
    expect((await state(app)).state).toBe('paused');
    expect(await whoAnswers(app)).toBe(two.reference);
    await answers(app, three);
  });

  it('makes a name that was missing known at once', async () => {
    const app = apps.app('late');
    expect((await request(pipes.port, { host: app.host })).status).toBe(404);
    const there = await apps.publish('late', {}, 'there');
    await move('late', 'there');
    await until('it is there before the 30 s are over', async () => (await request(pipes.port, { host: app.host, path: '/whoami' })).text.includes(there.reference), 10_000);
  });
});

describe('the webhook', () => {
  it('is not believed without its secret, and the secret is in no log', async () => {
    const tell = (path: string, headers = {}) => request(pipes.port, { host: 'localhost', path, method: 'POST', headers, body: { events: [] } });
    expect((await tell('/webhooks/registry')).status).toBe(401);
    expect((await tell('/webhooks/registry?secret=wrong-but-secret-too')).status).toBe(401);
    expect((await tell(`/webhooks/registry?secret=${SECRET}`)).status).toBe(202);
    expect((await tell(`/__proxyapi/webhooks/registry?secret=${SECRET}`)).status).toBe(202);
    await until('it is logged', () => pipes.output().includes('/__proxyapi/webhooks/registry'));
    expect(pipes.output()).not.toContain(SECRET);
    expect(pipes.output()).not.toContain('wrong-but-secret-too');
  });
});
