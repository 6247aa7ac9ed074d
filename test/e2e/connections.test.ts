import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { request } from '../lab/http-client.ts';
import { openManyClients, type ManyClients } from '../lab/many-clients.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { processFacts } from '../lab/process-facts.ts';
import { until } from '../lab/until.ts';

const IDLE = 10_000;
const WEB_SOCKETS = 1_000;
/** Of pipes, and of the clients: a WebSocket takes two of pipes. */
const OPEN_FILES = 16_000;

const apps = new Apps('many');
let app: App;
let pipes: PipesProcess;
let clients: ManyClients;

beforeAll(async () => {
  app = await apps.build('app');
  pipes = await startPipes({ openFiles: OPEN_FILES, env: { SHUTDOWN_TIMEOUT: '2s', LOG_LEVEL: 'warn' } });
});
afterAll(async () => {
  await clients.close();
  await pipes.stop();
});

const visit = () => request(pipes.port, { host: app.host, timeoutMs: 30_000 });
const inFlight = async () => (await request(pipes.port, { host: app.host, path: '/__proxyapi/container', token: pipes.token })).json<{ inFlight: number }>().inFlight;

describe(`${IDLE} idle connections and ${WEB_SOCKETS} WebSockets`, () => {
  it('are held while ordinary requests go on, end cleanly, and give back what they took', async () => {
    expect((await visit()).text).toBe(greeting(app));
    const before = processFacts(pipes.pid);
    const startedMs = performance.now();
    clients = await openManyClients(pipes.port, app.host, IDLE, WEB_SOCKETS, OPEN_FILES);
    expect(clients.opened).toMatchObject({ idle: IDLE, webSockets: WEB_SOCKETS, closed: 0, failed: 0 });
    const openedMs = performance.now() - startedMs;
    expect(await inFlight()).toBe(WEB_SOCKETS);
    const held = processFacts(pipes.pid);
    expect(held.sockets).toBeGreaterThanOrEqual(IDLE + 2 * WEB_SOCKETS);
    for (let count = 0; count < 100; count += 1) expect((await visit()).text).toBe(greeting(app));
    clients.say('echo');
    await until('every WebSocket has its echo', async () => (await clients.count()).echoes === WEB_SOCKETS, 30_000, 100);
    expect((await clients.count()).closed).toBe(0);

    clients.say('leave');
    await until('half of them have left', async () => (await inFlight()) === WEB_SOCKETS / 2, 30_000, 100);
    await until('their descriptors are back', () => processFacts(pipes.pid).sockets <= IDLE / 2 + WEB_SOCKETS + before.sockets + 20, 30_000, 100);
    expect((await visit()).text).toBe(greeting(app));
    const mb = (bytes: number) => Math.round(bytes / 1e6);
    console.log(`connections: opened in ${Math.round(openedMs)} ms; memory ${mb(before.rssBytes)} → ${mb(held.rssBytes)} MB; descriptors ${before.openFiles} → ${held.openFiles} → ${processFacts(pipes.pid).openFiles}`);
    // 50 KB for a connection is twice what they take.
    expect(held.rssBytes - before.rssBytes).toBeLessThan((IDLE + 2 * WEB_SOCKETS) * 50_000);
    // Seconds where nothing else runs.
  }, 300_000);

  it('do not hold up the end', async () => {
    pipes.signal('SIGTERM');
    await until('it has ended', () => !pipes.runs(), 30_000);
    expect(pipes.exitCode()).toBe(0);
    expect(pipes.output()).not.toContain('nobody handled');
    await until('all clients know', async () => (await clients.count()).closed >= IDLE + WEB_SOCKETS, 30_000, 100);
  });
});
