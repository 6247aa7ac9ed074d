import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';

const apps = new Apps('mayrun');
const containers = new EngineContainers(useLab().dockerHost);
const WORK = /\/(?:images|containers)\/create$|\/start$/;

let engine: CountingEngine;
let strict: PipesProcess;
let limited: PipesProcess;

beforeAll(async () => {
  engine = await countCalls(useLab().dockerHost);
  [strict, limited] = await Promise.all([
    startPipes({ dockerHost: engine.dockerHost, env: { REQUIRE_DIGEST: 'on', PULL_REFRESH: '500ms' } }),
    startPipes({ dockerHost: engine.dockerHost, env: { TRUST_PROXY: '127.0.0.1', WAKE_RATE: '2/h', NEW_TARGETS: '5/h' } }),
  ]);
});
afterAll(async () => {
  await Promise.all([strict.stop(), limited.stop()]);
  await engine.close();
});

const configure = (pipes: PipesProcess, app: App, config: object, level = 'container'): Promise<Answer> =>
  request(pipes.port, { host: app.host, path: `/__proxyapi/${level}/config`, method: 'PUT', token: pipes.token, body: config });

describe('REQUIRE_DIGEST', () => {
  it('keeps a tag from running, be it here, in the registry, or running by hand, and says how to pin it', async () => {
    const [here, remote] = [await apps.build('here', { from: 'tiny' }), await apps.publish('remote', { from: 'tiny' })];
    const byHand = await containers.run(here.image);
    const before = engine.count(WORK);
    for (const app of [here, remote]) {
      for (const path of ['/', '/__proxyapi/wake']) {
        const answer = await request(strict.port, { host: app.host, path });
        expect([answer.status, answer.json()]).toMatchObject([403, { code: 'image_forbidden', detail: expect.stringMatching(/REQUIRE_DIGEST.*"image": "…@sha256:…"/) as string }]);
      }
    }
    expect((await configure(strict, remote, { image: remote.image.replace(/:main$/, ':other') })).status).toBe(200);
    expect((await request(strict.port, { host: remote.host })).status).toBe(403);
    const started = await request(strict.port, { host: remote.host, path: '/__proxyapi/container/start', method: 'POST', token: strict.token });
    expect([started.status, started.json()]).toMatchObject([403, { code: 'image_forbidden' }]);
    expect(engine.count(WORK)).toBe(before);
    await containers.remove(byHand);
  });

  it('runs what a configuration pins, its own or its repository\'s, whatever the tag has come to mean', async () => {
    const app = await apps.publish('pinned', { from: 'tiny' });
    const digest = await apps.images.publish(app.image, { from: 'tiny', env: { VERSION: 'the one that is meant' } });
    await apps.images.publish(app.image, { from: 'tiny', env: { VERSION: 'a later one' } });
    const pinned = `${app.image.replace(/:main$/, '')}@${digest}`;
    expect((await configure(strict, app, { image: pinned }, 'repository')).status).toBe(200);
    expect((await request(strict.port, { host: app.host })).text).toBe('the one that is meant\n');
    const state = (await request(strict.port, { host: app.host, path: '/__proxyapi/container', token: strict.token })).json();
    expect(state).toMatchObject({ image: pinned, digest, state: 'running' });
    const [id] = await containers.of(app.reference);
    // Whoever takes the pin away runs nothing new, and what ran is asked again when it is next started.
    expect((await configure(strict, app, {}, 'repository')).status).toBe(200);
    await request(strict.port, { host: app.host, path: '/__proxyapi/container/stop', method: 'POST', token: strict.token });
    expect((await request(strict.port, { host: app.host })).status).toBe(403);
    expect((await configure(strict, app, { image: pinned })).status).toBe(200);
    expect((await request(strict.port, { host: app.host })).text).toBe('the one that is meant\n');
    expect(await containers.of(app.reference)).toEqual([id]);
  });
});

describe('WAKE_RATE', () => {
  const from = (address: string, host: string): Promise<Answer> => request(limited.port, { host, headers: { 'x-forwarded-for': address } });

  it('counts nobody who asks only for a name known to be missing, and each client behind the proxy alone', async () => {
    const [broken, sound] = await Promise.all([apps.build('broken', { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '3' } }), apps.build('sound', { from: 'tiny' })]);
    const missing = apps.app('missing');
    expect((await from('203.0.113.1', broken.host)).status).toBe(502);
    expect((await from('203.0.113.1', missing.host)).status).toBe(404);
    // Its two are used up; others have not asked for anything yet.
    expect((await from('203.0.113.1', sound.host)).status).toBe(429);
    for (let at = 0; at < 5; at += 1) expect((await from('203.0.113.2', missing.host)).status).toBe(404);
    expect((await from('203.0.113.2', sound.host)).status).toBe(200);
    expect((await from('203.0.113.1', sound.host)).status).toBe(200);
  });
});
