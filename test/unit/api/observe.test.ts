import { once } from 'node:events';
import http from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerState, ListedContainer } from '../../../src/api/contract/container-state.ts';
import { ContainerStats } from '../../../src/api/contract/container-stats.ts';
import { ENDPOINTS } from '../../../src/api/contract/endpoints.ts';
import { ProblemDocument } from '../../../src/api/contract/problem-document.ts';
import { documentedPath, openApiDocument } from '../../../src/api/openapi-document.ts';
import { PipesError } from '../../../src/core/errors.ts';
import type { OutputLines } from '../../../src/instances/backend.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { specOf } from '../../fakes/specs.ts';
import { until } from '../../lab/until.ts';
import { validate } from './openapi-validator.ts';
import { RunningApi } from './running-api.ts';

const WEB = 'alice/web:main';
const LOGS = '/__proxyapi/container/logs';
const STATS = '/__proxyapi/container/stats';
let api: RunningApi;
let read: string;
let stranger: string;

beforeEach(async () => {
  api = new RunningApi({ memoryTimeoutMs: 300 });
  await api.start();
  [read, stranger] = await Promise.all([api.token('read:alice'), api.token('deploy:bob/*')]);
});
afterEach(() => api.stop());

/** A container of the fake engine that the target is said to have. */
async function running(reference = WEB): Promise<string> {
  const id = await api.backend.create(specOf(parseReference(reference), {}));
  await api.backend.start(id);
  api.control.instances.set(reference, { state: 'running', containerId: id });
  return id;
}

async function stopped(reference = WEB): Promise<string> {
  const id = await running(reference);
  await api.backend.stop(id);
  api.control.instances.set(reference, { state: 'stopped', containerId: id });
  return id;
}

interface Followed {
  readonly response: http.IncomingMessage;
  text(): string;
  readonly ended: Promise<unknown>;
  leave(): void;
}

async function follow(headers: http.OutgoingHttpHeaders = {}, path = `${LOGS}?follow`): Promise<Followed> {
  const request = http.request({ port: api.port, host: '127.0.0.1', path, agent: false, headers: { 'x-test-target': WEB, authorization: `Bearer ${read}`, ...headers } }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  response.on('error', () => undefined);
  return { response, text: () => text, ended: new Promise((resolve) => response.once('close', resolve)), leave: () => request.destroy() };
}

describe('the output of a container', () => {
  it('is text, whole or its last lines', async () => {
    const id = await running();
    for (const line of ['one', 'zwei ü', 'three']) api.backend.print(id, line);
    const answer = await api.ask(LOGS, { on: WEB, token: read });
    expect(answer).toMatchObject({ status: 200, text: 'one\nzwei ü\nthree\n' });
    expect(answer.headers).toMatchObject({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', vary: 'Accept' });
    expect((await api.ask(`${LOGS}?tail=2`, { on: WEB, token: read })).text).toBe('zwei ü\nthree\n');
    expect((await api.ask(`${LOGS}?tail=0`, { on: WEB, token: read })).text).toBe('');
    expect((await api.ask(`${LOGS}?tail=all&follow=false`, { on: WEB, token: read })).text).toBe('one\nzwei ü\nthree\n');
  });

  it.each(['tail=-1', 'tail=1.5', 'tail=', 'tail=ten', 'follow=maybe'])('refuses ?%s', async (query) => {
    await running();
    expect(await api.ask(`${LOGS}?${query}`, { on: WEB, token: read })).toMatchObject({ status: 400, json: { code: 'invalid_request' }, faultPaths: [`?${query.split('=')[0]!}`] });
  });

  it('is followed as it is written, until the container ends', async () => {
    const id = await running();
    api.backend.print(id, 'before');
    const followed = await follow();
    await until('what was written before', () => followed.text() === 'before\n');
    api.backend.print(id, 'after');
    await until('what is written now', () => followed.text() === 'before\nafter\n');
    await api.backend.stop(id);
    await followed.ended;
    expect(followed.response.complete).toBe(true);
  });

  it('shows nothing more once the token has ended, and leaves nothing behind', async () => {
    const id = await running();
    const followed = await follow();
    api.backend.print(id, 'before');
    await until('what was written before', () => followed.text() === 'before\n');
    await api.credentials.removeToken('t0');
    api.backend.print(id, 'after');
    await followed.ended;
    expect([followed.text(), followed.response.complete]).toEqual(['before\n', true]);
    await until('nobody listens any more', () => api.backend.followers(id) === 0);
  });

  it('answers before anything is written', async () => {
    await running();
    const followed = await follow();
    expect(followed.response.statusCode).toBe(200);
    followed.leave();
  });

  it('goes on with the container that replaced it, from its first line', async () => {
    const old = await running();
    const followed = await follow({}, `${LOGS}?follow&tail=0`);
    const next = await running();
    api.backend.print(next, 'new one');
    api.backend.print(old, 'last words');
    await api.backend.stop(old);
    await until('both are told', () => followed.text() === 'last words\nnew one\n');
    await api.backend.stop(next);
    await followed.ended;
  });

  it('leaves nothing behind when its reader leaves', async () => {
    const id = await running();
    const followed = await follow();
    followed.leave();
    await until('nobody listens any more', () => api.backend.followers(id) === 0);
    expect(api.logged).toEqual([]);
  });

  it('is read no faster than its reader takes it', async () => {
    await running();
    let taken = 0;
    let isClosed = false;
    const endless = async function* (signal: AbortSignal): OutputLines {
      try {
        for (; !signal.aborted; taken += 1) {
          yield Array.from({ length: 100 }, () => 'x'.repeat(1000));
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        isClosed = true;
      }
    };
    api.backend.logs = async (_id, { signal }) => await Promise.resolve(endless(signal));
    const followed = await follow();
    followed.response.pause();
    let before = -1;
    await until('the sockets are full', () => {
      const isStill = taken === before;
      before = taken;
      return isStill;
    });
    // What is read again makes room for more.
    followed.response.resume();
    await until('more is taken', () => taken > before + 10);
    followed.leave();
    await until('it is closed', () => isClosed);
  });

  it('comes as events to who asks for them, with an end', async () => {
    const id = await running();
    for (const line of ['one', '10%\r20%']) api.backend.print(id, line);
    const answer = await api.ask(LOGS, { on: WEB, token: read, headers: { accept: 'text/event-stream' } });
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(answer.text).toBe('data: one\n\ndata: 10%\ndata: 20%\n\nevent: end\ndata:\n\n');
  });

  it('is there of a stopped one', async () => {
    const id = await stopped();
    api.backend.print(id, 'bye');
    expect(await api.ask(LOGS, { on: WEB, token: read })).toMatchObject({ status: 200, text: 'bye\n' });
  });

  it('of one that failed and is gone are the lines that were kept', async () => {
    api.control.instances.set(WEB, { state: 'failed', error: new PipesError('instance_failed', 'It exited.', { privateDetail: ['boom', 'bang'] }) });
    expect(await api.ask(LOGS, { on: WEB, token: read })).toMatchObject({ status: 200, text: 'boom\nbang\n' });
    expect((await api.ask(`${LOGS}?tail=1`, { on: WEB, token: read })).text).toBe('bang\n');
    expect((await follow()).response.statusCode).toBe(200);
  });

  it('is 404 where there is none, and wakes nothing', async () => {
    expect(await api.ask(LOGS, { on: WEB, token: read })).toMatchObject({ status: 404, json: { code: 'not_found' } });
    api.control.instances.set(WEB, { state: 'failed', error: new PipesError('image_unusable', 'No program.', { privateDetail: ['runc says no'] }) });
    expect(await api.ask(LOGS, { on: WEB, token: read })).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect(api.control.calls).toEqual([]);
  });

  it('is a problem document while the engine is away', async () => {
    await running();
    api.backend.isUp = false;
    expect(await api.ask(LOGS, { on: WEB, token: read })).toMatchObject({ status: 503, json: { code: 'engine_unavailable' } });
  });

  it('is for those who may read the target', async () => {
    await running();
    expect((await api.ask(LOGS, { on: WEB })).status).toBe(401);
    expect((await api.ask(LOGS, { on: WEB, token: stranger })).status).toBe(403);
  });

  it('answers HEAD without reading on', async () => {
    const id = await running();
    api.backend.print(id, 'one');
    expect(await api.ask(`${LOGS}?follow`, { on: WEB, token: read, method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
    await until('nobody listens', () => api.backend.followers(id) === 0);
  });
});

describe('the stats of a container', () => {
  it('say what it uses, with units in their names', async () => {
    const id = await running();
    const answer = await api.ask(STATS, { on: WEB, token: read });
    expect(answer.status).toBe(200);
    const stats = ContainerStats.parse(answer.json);
    expect(stats).toMatchObject({ reference: WEB, containerId: id, memory: { usedBytes: 1_000_000, limitBytes: 64 * 2 ** 20 }, network: { receivedBytes: 10, sentBytes: 20 }, pids: 1 });
    expect(stats.cpu.percentOfCore).toBeGreaterThan(40);
    expect(stats.cpu.percentOfCore).toBeLessThan(60);
    expect(stats.cpu.totalNs).toBeGreaterThan(0);
  });

  it('are 404 where nothing runs, with its state', async () => {
    expect(await api.ask(STATS, { on: WEB, token: read })).toMatchObject({ status: 404, json: { code: 'not_found' } });
    await stopped();
    const answer = await api.ask(STATS, { on: WEB, token: read });
    expect(answer).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect(answer.json?.['detail']).toContain('stopped');
    expect(api.control.calls).toEqual([]);
  });

  it('are for those who may read the target', async () => {
    await running();
    expect((await api.ask(STATS, { on: WEB, token: stranger })).status).toBe(403);
  });
});

describe('the list of containers', () => {
  const list = async (token = read): Promise<ListedContainer[]> => ListedContainer.array().parse((await api.ask('/containers', { token })).json);

  it('tells state, memory, last use and the last wake of each', async () => {
    await running();
    const lastWake = { from: 'absent', pullMs: 1, createMs: 2, startMs: 3, readyMs: 4, totalMs: 10.5 } as const;
    api.control.instances.set(WEB, { ...api.control.instances.get(WEB), lastUsedAt: new Date(0), lastWake });
    await stopped('alice/asleep:main');
    expect(await list()).toMatchObject([
      { reference: 'alice/asleep:main', state: 'stopped', memoryUsedBytes: null, lastWake: null },
      { reference: WEB, state: 'running', memoryUsedBytes: 1_000_000, lastUsedAt: '1970-01-01T00:00:00.000Z', lastWake },
    ]);
  });

  it('asks the engine for no more than the caller may read', async () => {
    await running('carol/web:main');
    expect(await list()).toEqual([]);
    expect(api.backend.calls).not.toContain('stats');
  });

  it('comes soon, and without the memory, when the engine is slow or away', async () => {
    await running();
    api.backend.latencyMs = 2_000;
    const startedMs = performance.now();
    expect(await list()).toMatchObject([{ reference: WEB, memoryUsedBytes: null }]);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    api.backend.latencyMs = 0;
    api.backend.isUp = false;
    expect(await list()).toMatchObject([{ reference: WEB, memoryUsedBytes: null }]);
  });
});

describe('/metrics', () => {
  it('is for those who may read everything', async () => {
    const answers = async (...scopes: string[]) => await api.ask('/metrics', { token: await api.token(...scopes) });
    for (const scope of ['admin', 'read:*/*', 'read:*', 'deploy:*/*']) expect(await answers(scope)).toMatchObject({ status: 200, text: 'pipes_engine_up 1\n' });
    expect((await answers('read:*')).headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    for (const scope of ['read:alice/*', 'read:*/web', 'deploy:a*']) expect(await answers(scope)).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    expect((await api.ask('/metrics')).status).toBe(401);
  });
});

describe('/openapi.json', () => {
  it('is valid, needs no token and stands below /__proxyapi too', async () => {
    const answer = await api.ask('/openapi.json');
    expect(answer).toMatchObject({ status: 200, json: { openapi: '3.1.0', info: { version: '1.2.3' } } });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect((await api.ask('/__proxyapi/openapi.json')).text).toBe(answer.text);
    expect(await validate(answer.json!)).toEqual([]);
    // The validator is one that finds something.
    expect(await validate({ ...answer.json, paths: { '/x': { get: { responses: 5 } } } })).not.toEqual([]);
  });

  it('describes every route that there is, and no other', () => {
    const documented = Object.entries(openApiDocument('1')['paths'] as Record<string, object>).flatMap(([path, operations]) => Object.keys(operations).filter((name) => name !== 'servers').map((method) => `${method.toUpperCase()} ${path}`));
    const routed = api.api.routes
      .filter(({ method, place, path }) => method !== 'HEAD' && !(place === 'platform' && path.startsWith('/__proxyapi')))
      .map(({ method, place, path }) => `${method} ${documentedPath({ place, path: place === 'target' ? path.replace('/__proxyapi', '') : path })}`);
    expect(documented.sort()).toEqual(routed.sort());
    // Below /__proxyapi of a platform host stands the very same.
    const below = api.api.routes.filter(({ place, path }) => place === 'platform' && path.startsWith('/__proxyapi')).map(({ method, path }) => `${method} ${path.replace(/^\/__proxyapi\/?/, '/')}`);
    expect(below.sort()).toEqual(api.api.routes.filter(({ place, path }) => place === 'platform' && !path.startsWith('/__proxyapi')).map(({ method, path }) => `${method} ${path}`).sort());
  });

  it('tells the truth about who is let in', async () => {
    const weakest = await api.token('read:nobody/nothing');
    for (const { place, method, path, scope } of ENDPOINTS) {
      const ask = async (token?: string) => (await api.ask(place === 'target' ? `/__proxyapi${path}` : path.replace(':name', 'x').replace(':user/:repo', 'alice/web'), { method, ...(token === undefined ? {} : { token }), ...(place === 'target' ? { on: WEB } : {}), ...(method === 'PUT' || (method === 'POST' && path === '/tokens') ? { body: {} } : {}) })).status;
      expect([path, method, (await ask()) === 401]).toEqual([path, method, scope !== 'none']);
      expect([path, method, (await ask(weakest)) === 403]).toEqual([path, method, scope !== 'none' && scope !== 'any']);
      if (scope === 'read') expect([path, await ask(read)]).not.toEqual([path, 403]);
      if (scope === 'deploy') expect([path, await ask(read)]).toEqual([path, 403]);
    }
  });

  it('names schemas once, and every one that it refers to', () => {
    const text = JSON.stringify(openApiDocument('1'));
    const { schemas } = (openApiDocument('1') as { components: { schemas: Record<string, object> } }).components;
    const referred = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    expect([...referred].sort()).toEqual(Object.keys(schemas).sort());
    expect(text).not.toContain('"$id"');
  });

  it('has schemas that the answers keep', async () => {
    await running();
    const container = await api.ask('/__proxyapi/container', { on: WEB, token: read });
    expect(ContainerState.strict().safeParse(container.json).success).toBe(true);
    const listed = (await api.ask('/containers', { token: read })).json as unknown as object[];
    expect(ListedContainer.strict().safeParse(listed[0]).success).toBe(true);
    expect(ProblemDocument.safeParse((await api.ask('/containers')).json).success).toBe(true);
  });
});
