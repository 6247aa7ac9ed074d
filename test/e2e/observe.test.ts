import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContainerState, ListedContainer } from '../../src/api/contract/container-state.ts';
import { ContainerStats } from '../../src/api/contract/container-stats.ts';
import { Apps, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { openRequest, request, type Answer, type RequestOptions } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { processFacts } from '../lab/process-facts.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('observe');
const containers = new EngineContainers(useLab().dockerHost);
let pipes: PipesProcess;

beforeAll(async () => {
  pipes = await startPipes({ env: { START_TIMEOUT: '20s' } });
});
afterAll(async () => {
  await pipes.stop();
});

const visit = (app: App, path = '/') => request(pipes.port, { host: app.host, path });
const api = (app: App, path: string, options: Partial<RequestOptions> = {}): Promise<Answer> => request(pipes.port, { host: app.host, path: `/__proxyapi/container${path}`, token: pipes.token, ...options });
const platform = (path: string, options: Partial<RequestOptions> = {}): Promise<Answer> => request(pipes.port, { host: 'localhost', path, token: pipes.token, ...options });
const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);

/** A follower of an app's output, and what it has been told so far. */
async function follow(app: App, headers: Record<string, string> = {}) {
  const { request: outgoing, response } = await openRequest(pipes.port, { host: app.host, path: '/__proxyapi/container/logs?follow', token: pipes.token, headers });
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  response.on('error', () => undefined);
  return { response, text: () => text, ended: new Promise((resolve) => response.once('close', resolve)), leave: () => outgoing.destroy() };
}

describe('the output of a container', () => {
  it('is both streams, whole or the last lines, and reading it is no use of the app', async () => {
    const app = await apps.build('prints', { env: { PRINT_LINES: '6' } });
    await visit(app);
    const before = ContainerState.parse((await api(app, '')).json());
    const whole = await api(app, '/logs');
    expect([whole.status, whole.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(linesOf(whole.text).sort()).toEqual(['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'line 6', 'listening on 80']);
    expect(linesOf((await api(app, '/logs?tail=1')).text)).toHaveLength(1);
    expect(ContainerState.parse((await api(app, '')).json()).lastUsedAt).toBe(before.lastUsedAt);
  });

  it('comes whole when it is long', async () => {
    const app = await apps.build('chatty', { env: { PRINT_LINES: '100000' } });
    await visit(app);
    // The engine itself takes its time to write so much down.
    const lines = await until('the engine has all of it', async () => {
      const told = linesOf((await api(app, '/logs')).text);
      return told.length >= 100_001 ? told : undefined;
    });
    expect([lines.length, new Set(lines).size]).toEqual([100_001, 100_001]);
    expect(lines.every((line) => /^(?:line \d+|listening on 80)$/.test(line))).toBe(true);
  });

  it('is followed over a replacement, and ends with the container', async () => {
    const app = await apps.build('followed', { env: { PRINT_LINES: '1' } });
    await visit(app);
    const followed = await follow(app);
    await until('the first container is heard', () => followed.text() === 'line 1\nlistening on 80\n');
    expect((await api(app, '/restart', { method: 'POST' })).status).toBe(200);
    await until('the second one is heard', () => followed.text() === 'line 1\nlistening on 80\nline 1\nlistening on 80\n');
    expect((await api(app, '/stop', { method: 'POST' })).status).toBe(200);
    await followed.ended;
    expect(followed.response.complete).toBe(true);
    expect((await api(app, '/logs')).text).toBe('line 1\nlistening on 80\n');
  });

  it('comes as events, with an end', async () => {
    const app = await apps.build('events', { env: { PRINT_LINES: '1' } });
    await visit(app);
    const followed = await follow(app, { accept: 'text/event-stream' });
    expect(followed.response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    await until('the container is heard', () => followed.text() === 'data: line 1\n\ndata: listening on 80\n\n');
    await api(app, '', { method: 'DELETE' });
    await followed.ended;
    expect(followed.text()).toMatch(/event: end\ndata:\n\n$/);
  });

  it('of a container that failed to start is kept', async () => {
    const app = await apps.build('fails', { env: { PRINT_LINES: '250', EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '3' } });
    expect((await visit(app)).json()).toMatchObject({ code: 'instance_failed', exitCode: 3 });
    expect(linesOf((await api(app, '/logs')).text)).toHaveLength(250);
    expect(linesOf((await api(app, '/logs?tail=200')).text)).toHaveLength(200);
  });

  it('wakes nothing', async () => {
    const app = await apps.build('quiet');
    for (const path of ['/logs', '/logs?follow', '/stats']) expect((await api(app, path)).json()).toMatchObject({ status: 404, code: 'not_found' });
    expect(await containers.of(app.reference)).toEqual([]);
  });

  it('leaves no connection to the engine open when its reader leaves', async () => {
    const app = await apps.build('left');
    await visit(app);
    const before = processFacts(pipes.pid).sockets;
    const followers = await Promise.all(Array.from({ length: 20 }, () => follow(app)));
    // Each has one connection to pipes, and one from there to the engine; some that were idle may have closed meanwhile.
    expect(processFacts(pipes.pid).sockets).toBeGreaterThan(before + 30);
    for (const follower of followers) follower.leave();
    await until('all of them are closed', () => processFacts(pipes.pid).sockets <= before + 2);
  });
});

describe('the stats of a container', () => {
  it('are what the engine measures', async () => {
    const app = await apps.build('busy');
    await visit(app);
    await visit(app, '/stream?bytes=20000000');
    const { Id } = await containers.only(app.reference);
    const answer = await api(app, '/stats');
    expect(answer.status).toBe(200);
    const stats = ContainerStats.strict().parse(answer.json());
    expect(stats).toMatchObject({ reference: app.reference, containerId: Id, memory: { limitBytes: 512 * 2 ** 20 } });
    expect(stats.memory.usedBytes).toBeGreaterThan(5e6);
    expect(stats.memory.usedBytes).toBeLessThan(512 * 2 ** 20);
    expect(stats.cpu.totalNs).toBeGreaterThan(1e7);
    expect(stats.cpu.percentOfCore).toBeGreaterThanOrEqual(0);
    expect(stats.cpu.percentOfCore).toBeLessThan(110);
    expect(stats.network!.sentBytes).toBeGreaterThan(20e6);
    expect(stats.network!.receivedBytes).toBeGreaterThan(100);
    expect(stats.pids).toBeGreaterThan(1);
    expect(Math.abs(Date.parse(stats.measuredAt) - Date.now())).toBeLessThan(30_000);
  });

  it('tell a paused one\'s memory, and of a stopped one that there is nothing', async () => {
    const app = await apps.build('paused');
    await visit(app);
    await containers.pause((await containers.only(app.reference)).Id);
    expect(ContainerStats.parse((await api(app, '/stats')).json()).memory.usedBytes).toBeGreaterThan(5e6);
    await api(app, '/stop', { method: 'POST' });
    expect((await api(app, '/stats')).json()).toMatchObject({ status: 404, code: 'not_found' });
  });
});

describe('the list of containers', () => {
  const entry = async (app: App): Promise<ListedContainer> => ListedContainer.array().parse((await platform('/containers')).json()).find(({ reference }) => reference === app.reference)!;

  it('tells memory, and how long the parts of the last wake took', async () => {
    const app = await apps.publish('listed');
    await visit(app);
    const cold = await entry(app);
    expect(cold).toMatchObject({ state: 'running', lastWake: { from: 'absent' } });
    expect(cold.memoryUsedBytes).toBeGreaterThan(5e6);
    const { pullMs, createMs, startMs, readyMs, totalMs } = cold.lastWake!;
    for (const partMs of [pullMs, createMs, startMs, readyMs]) expect(partMs).toBeGreaterThan(0);
    expect(pullMs + createMs + startMs + readyMs).toBeLessThanOrEqual(totalMs + 1);
    // What is in no part is little: the parts are the story.
    expect(totalMs - (pullMs + createMs + startMs + readyMs)).toBeLessThan(totalMs / 2);
    await api(app, '/stop', { method: 'POST' });
    expect(await entry(app)).toMatchObject({ state: 'stopped', memoryUsedBytes: null });
    await visit(app);
    expect(await entry(app)).toMatchObject({ lastWake: { from: 'stopped', createMs: 0 } });
  });
});

describe('/metrics', () => {
  const values = async (): Promise<Map<string, number>> => {
    const { status, text } = await platform('/metrics');
    expect(status).toBe(200);
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    for (const line of lines) expect(line).toMatch(/^pipes_\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? (?:[-+.e\d]+|\+Inf)$/);
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
  };

  it('counts what happens', async () => {
    const app = await apps.build('counted');
    const before = await values();
    await visit(app);
    await visit(app, '/stream?bytes=100000');
    await request(pipes.port, { host: app.host, path: '/sink', method: 'POST', body: Buffer.alloc(5000) });
    await visit(app, '/status/503');
    await visit(apps.app('nowhere'));
    const after = await until('the last request is counted', async () => {
      const now = await values();
      return now.get('pipes_failures_total{code="image_not_found"}') === before.get('pipes_failures_total{code="image_not_found"}')! + 1 ? now : undefined;
    });
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(grown('pipes_requests_total{method="safe",code="2xx"}')).toBe(2);
    expect(grown('pipes_requests_total{method="unsafe",code="2xx"}')).toBe(1);
    expect(grown('pipes_requests_total{method="safe",code="5xx"}')).toBe(1);
    expect(grown('pipes_requests_total{method="safe",code="4xx"}')).toBe(1);
    expect(grown('pipes_request_duration_seconds_count{method="safe",code="2xx"}')).toBe(2);
    expect(grown('pipes_received_bytes_total')).toBe(5000);
    expect(grown('pipes_sent_bytes_total')).toBeGreaterThan(100_000);
    expect(grown('pipes_wakes_total{from="absent"}')).toBe(1);
    expect(grown('pipes_wake_duration_seconds_count{from="absent"}')).toBe(1);
    expect(grown('pipes_wake_part_duration_seconds_count{from="absent",part="start"}')).toBe(1);
    expect(grown('pipes_instances{state="running"}')).toBe(1);
    expect(grown('pipes_engine_calls_total')).toBeGreaterThan(2);
    expect(after.get('pipes_engine_up')).toBe(1);
    expect(after.get('pipes_open_requests')).toBe(0);
    for (const queue of ['pulls', 'starts']) for (const state of ['waiting', 'running']) expect(after.get(`pipes_queue_jobs{queue="${queue}",state="${state}"}`)).toBe(0);
    expect(after.get('pipes_process_open_fds')).toBeGreaterThan(5);
    // Names of targets never become labels.
    expect([...after.keys()].filter((name) => name.includes(apps.user))).toEqual([]);
  });

  it('needs a token that may see everything', async () => {
    const made = await platform('/tokens', { method: 'POST', body: { name: apps.user, scopes: [`read:${apps.user}`] } });
    const { token } = made.json<{ token: string }>();
    expect((await platform('/metrics', { token })).json()).toMatchObject({ code: 'forbidden' });
    expect((await request(pipes.port, { host: 'localhost', path: '/metrics' })).status).toBe(401);
  });
});

describe('/openapi.json', () => {
  it('is there for everybody, also below /__proxyapi', async () => {
    const answer = await request(pipes.port, { host: 'localhost', path: '/openapi.json' });
    const document = answer.json<{ openapi: string; info: { version: string }; paths: Record<string, object> }>();
    expect(document.openapi).toBe('3.1.0');
    expect((await platform('/')).text).toBe(`pipes ${document.info.version}\n`);
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(['/__proxyapi/container/logs', '/containers', '/metrics']));
    expect((await platform('/__proxyapi/openapi.json')).text).toBe(answer.text);
  });
});
