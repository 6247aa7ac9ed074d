import { setMaxListeners } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import type { Run } from '../../../src/instances/run.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import type { FakeBackend } from '../../fakes/fake-backend.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { until } from '../../lab/until.ts';

const WEB = parseReference('alice/web:main');
const KEY = 'alice/web:main';
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

let bench: TableBench;
afterEach(async () => {
  vi.useRealTimers();
  bench.backend.isHung = false;
  await bench.close();
  expect(bench.complaints.filter((line) => line.includes('no life makes'))).toEqual([]);
});

async function opened(...options: Parameters<typeof makeTable>): Promise<TableBench> {
  bench = makeTable(...options);
  await bench.table.open();
  return bench;
}

const lease = (): Promise<Run> => bench.table.lease(WEB, undefined, NEVER);
const use = async (): Promise<string> => {
  const run = await lease();
  run.release();
  return run.containerId;
};
const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'none', (thrown: unknown) => (thrown as PipesError).code);
const state = (): string => bench.table.report(WEB).state;

/** Takes the place of one of the backend's calls, once. */
function once<Name extends 'inspect' | 'start' | 'pause' | 'unpause' | 'create' | 'remove'>(backend: FakeBackend, name: Name, instead: (original: FakeBackend[Name], ...args: Parameters<FakeBackend[Name]>) => ReturnType<FakeBackend[Name]>): void {
  const original = (backend[name] as (...args: unknown[]) => unknown).bind(backend) as FakeBackend[Name];
  Object.assign(backend, {
    [name]: (...args: Parameters<FakeBackend[Name]>) => {
      Object.assign(backend, { [name]: original });
      return instead(original, ...args);
    },
  });
}

describe('while the engine is away', () => {
  it('what is warm goes on being served, and is looked at before its next use once it is back', async () => {
    const { table, backend } = await opened();
    const id = await use();
    backend.lose();
    expect(await use()).toBe(id);
    expect(table.isEngineUp).toBe(false);
    expect(await codeOf(table.lease(parseReference('bob/other'), undefined, NEVER))).toBe('engine_unavailable');
    backend.restore(true);
    expect(table.tryLease(KEY)).toBeUndefined();
    expect(await use()).toBe(id);
    expect(backend.running(KEY)).toEqual([id]);
  });

  it('nobody is sent to an address where nothing answers at once', async () => {
    const { backend } = await opened();
    const id = await use();
    backend.lose();
    backend.kill(id);
    expect(await codeOf(lease())).toBe('engine_unavailable');
    backend.restore(false);
    expect(await use()).toBe(id);
  });
});

describe('an engine that takes questions and does not answer', () => {
  it('does not keep pipes from its start', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    bench = makeTable();
    bench.backend.isHung = true;
    bench.backend.watch = () => ({ stop: () => Promise.resolve() });
    let isOpen = false;
    void bench.table.open().then(() => (isOpen = true));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(isOpen).toBe(true);
  });

  it('holds up nobody who asks for what is warm, if it has told everything so far', async () => {
    const { table, backend } = await opened();
    const run = await lease();
    run.release();
    backend.isHung = true;
    table.tryLease(KEY)!.release();
    table.distrust(run);
    expect(await lease()).toBe(run);
  });

  it('may be one that comes back, so what is warm waits for its word', async () => {
    const { backend } = await opened();
    const before = await lease();
    before.release();
    backend.lose();
    backend.isHung = true;
    backend.isUp = true;
    const asked = lease();
    await until('the engine is asked', () => backend.calls.at(-1) === 'inspect');
    backend.restore(true);
    backend.isHung = false;
    const run = await asked;
    expect(run).not.toBe(before);
    expect(backend.running(KEY)).toEqual([run.containerId]);
  });
});

describe('an engine that goes away and comes back while', () => {
  it('it is asked where a container is: it is asked again', async () => {
    const { table, backend } = await opened();
    const before = await lease();
    before.release();
    table.distrust(before);
    // Its answer is true when it is given, and no more when it arrives.
    once(backend, 'inspect', async (inspect, id) => {
      const answer = await inspect(id);
      backend.lose();
      backend.restore(true);
      return answer;
    });
    const run = await lease();
    expect(run).not.toBe(before);
    expect(backend.running(KEY)).toEqual([run.containerId]);
  });

  it('a container starts: it is started again, which is no failure of its own', async () => {
    const { table, backend } = await opened();
    once(backend, 'start', async (start, id) => {
      await start(id);
      backend.lose();
      backend.restore(true);
    });
    const id = await use();
    expect(backend.running()).toEqual([id]);
    expect(table.report(WEB)).toMatchObject({ state: 'running', error: null });
  });

  it('a container is woken: it is started where it has ended', async () => {
    const { backend } = await opened({ defaults: { idle: { pauseMs: 1, stopMs: 1e9, removeMs: 1e9 } } });
    const id = await use();
    await until('it is paused', () => state() === 'paused');
    once(backend, 'unpause', (unpause, paused) => {
      backend.lose();
      backend.restore(true);
      return unpause(paused);
    });
    const run = await lease();
    expect(run.containerId).toBe(id);
    expect(backend.running()).toEqual([id]);
    run.release();
  });

  it('a container is paused: one that is frozen though it seems to run is started anew', async () => {
    const { backend } = await opened({ defaults: { idle: { pauseMs: 1, stopMs: 1e9, removeMs: 1e9 } } });
    const before = await lease();
    once(backend, 'pause', (pause, id) => {
      backend.lose();
      return pause(id);
    });
    before.release();
    await until('it is away', () => !backend.isUp);
    backend.restore(false);
    const run = await lease();
    expect(run.containerId).toBe(before.containerId);
    expect(run.startedAt!.getTime()).toBeGreaterThan(before.startedAt!.getTime());
    run.release();
  });

  it('a pause is refused by an engine that goes on: what runs is left running', async () => {
    const { backend } = await opened({ defaults: { idle: { pauseMs: 1, stopMs: 1e9, removeMs: 1e9 } } });
    const before = await lease();
    let refused = false;
    once(backend, 'pause', () => {
      refused = true;
      return Promise.reject(new PipesError('engine_unavailable', 'no freezer here'));
    });
    before.release();
    await until('it was refused', () => refused);
    const run = await lease();
    expect([run.containerId, run.startedAt]).toEqual([before.containerId, before.startedAt]);
    run.release();
  });

  it('a replacement is under way: the old one serves on, and the new one is not left behind', async () => {
    const { table, backend } = await opened();
    const id = await use();
    once(backend, 'start', (start, created) => {
      backend.lose();
      return start(created);
    });
    expect(await codeOf(table.restart(WEB))).toBe('engine_unavailable');
    expect(state()).toBe('running');
    expect(await use()).toBe(id);
    expect(backend.ids()).toHaveLength(2);
    backend.restore(false);
    await until('one is left', () => backend.ids().length === 1);
    expect(await use()).toBe(id);
  });

  it('a container is made, whose answer is lost: it is found, or removed once its place is taken', async () => {
    const { backend } = await opened();
    once(backend, 'create', async (create, spec) => {
      await create(spec);
      backend.lose();
      return create(spec);
    });
    expect(await codeOf(lease())).toBe('engine_unavailable');
    expect(backend.ids()).toHaveLength(1);
    backend.restore(false);
    // The next request is quicker than the look at everything, and busy while it comes.
    const id = await use();
    await until('one is left', () => backend.ids().length === 1);
    expect(backend.running()).toHaveLength(1);
    expect(await use()).toBe(id === backend.ids()[0] ? id : backend.ids()[0]);
  });
});
