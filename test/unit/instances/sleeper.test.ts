import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import type { Run } from '../../../src/instances/run.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { until } from '../../lab/until.ts';

const WEB = parseReference('alice/web:main');
const KEY = 'alice/web:main';

let bench: TableBench;
afterEach(async () => {
  await bench.close();
  expect(bench.complaints.filter((line) => line.includes('no life makes'))).toEqual([]);
});

async function opened(idle: { pauseMs?: number; stopMs?: number; removeMs?: number }, more: Parameters<typeof makeTable>[0] = {}): Promise<TableBench> {
  bench = makeTable({ ...more, defaults: { idle: { pauseMs: Infinity, stopMs: Infinity, removeMs: Infinity, ...idle } } });
  await bench.table.open();
  return bench;
}
const lease = (reference = WEB): Promise<Run> => bench.table.lease(reference, undefined, AbortSignal.timeout(5_000));
const state = (reference = WEB): string => bench.table.report(reference).state;

describe('tiers of sleep', () => {
  it('go from running to paused, stopped and removed, counted from the last use', async () => {
    const { backend } = await opened({ pauseMs: 60, stopMs: 180, removeMs: 300 });
    const run = await lease();
    run.release();
    const usedAtMs = Date.now();
    const seen = new Map<string, number>();
    await until('it is removed', () => {
      if (!seen.has(state())) seen.set(state(), Date.now() - usedAtMs);
      return state() === 'absent';
    }, 5_000, 2);
    expect([...seen.keys()].filter((name) => name !== 'stopping')).toEqual(['running', 'paused', 'stopped', 'absent']);
    expect(seen.get('paused')).toBeGreaterThanOrEqual(59);
    expect(seen.get('stopped')).toBeGreaterThanOrEqual(179);
    expect(seen.get('absent')).toBeGreaterThanOrEqual(299);
    expect(backend.ids()).toEqual([]);
    expect(bench.table.reports()).toEqual([]);
    // What is known is found by a tag in another case; nothing is kept of what was removed.
    const other = parseReference('alice/web:Main');
    await until('it is forgotten', () => bench.table.canonical(other) === other);
  });

  it('remove what failed before there was a container, too', async () => {
    const { images } = await opened({ removeMs: 30 });
    images.ensure = () => Promise.reject(new PipesError('image_unusable', 'The image is made for another kind of machine.'));
    await expect(lease()).rejects.toMatchObject({ code: 'image_unusable' });
    expect(state()).toBe('failed');
    await until('it is forgotten', () => bench.table.reports().length === 0, 2_000);
  });

  it('skip the tiers that are off', async () => {
    const { backend } = await opened({ stopMs: 40 });
    (await lease()).release();
    await until('it sleeps', () => state() === 'stopped');
    expect(backend.calls).not.toContain('pause');
    expect(backend.ids(KEY)).toHaveLength(1);
  });

  it('wake from each of them into the same container, but from removed', async () => {
    const { table, backend } = await opened({ pauseMs: 30, stopMs: 400 });
    const first = await lease();
    first.release();
    await until('it is paused', () => state() === 'paused');
    const second = await lease();
    second.release();
    expect(second.containerId).toBe(first.containerId);
    expect(table.report(WEB).lastWake?.from).toBe('paused');
    expect(backend.calls.filter((call) => call === 'create' || call === 'start')).toEqual(['create', 'start']);
    await until('it is stopped', () => state() === 'stopped');
    const third = await lease();
    third.release();
    expect(third.containerId).toBe(first.containerId);
    expect(table.report(WEB).lastWake?.from).toBe('stopped');
  });

  it('never touch what is in use, however long that lasts', async () => {
    const { backend } = await opened({ pauseMs: 20, stopMs: 40, removeMs: 60 });
    const run = await lease();
    await delay(200);
    expect(state()).toBe('running');
    run.release();
    await until('it sleeps', () => state() !== 'running');
    await until('it is gone', () => backend.ids().length === 0);
  });

  it('count from the end of a use, not from its begin', async () => {
    await opened({ stopMs: 100 });
    const run = await lease();
    await delay(90);
    run.release();
    await delay(60);
    expect(state()).toBe('running');
    await until('it sleeps', () => state() === 'stopped');
  });

  it('follow the configuration of a target', async () => {
    const { table, configs } = await opened({});
    configs.containers.set(KEY, { idle: { stop: '30ms' } });
    (await lease()).release();
    const other = parseReference('bob/other');
    (await lease(other)).release();
    await until('it sleeps', () => state() === 'stopped');
    expect(state(other)).toBe('running');
    configs.containers.set('bob/other:latest', { idle: { stop: '30ms' } });
    await table.reconfigure(other);
    await until('the other sleeps', () => state(other) === 'stopped');
  });

  it('show what ended unheard as stopped, instead of pausing it again and again', async () => {
    const { backend } = await opened({ pauseMs: 30 });
    const run = await lease();
    run.release();
    backend.isUp = false;
    backend.kill(run.containerId);
    backend.isUp = true;
    await until('it is noticed', () => state() === 'stopped', 2_000);
    expect(backend.calls).not.toContain('pause');
  });

  it('leave a container alone that someone started by hand', async () => {
    const { backend } = await opened({ pauseMs: 10, stopMs: 20, removeMs: 30 });
    await backend.startByHand('alice/web', 'main');
    (await lease()).release();
    await delay(120);
    expect(backend.calls.filter((call) => ['pause', 'stop', 'remove'].includes(call))).toEqual([]);
    expect(state()).toBe('running');
  });

  it('try again later when the engine could not', async () => {
    const { backend } = await opened({ stopMs: 30 });
    (await lease()).release();
    backend.lose();
    await delay(80);
    backend.restore(false);
    expect(bench.complaints.some((line) => line.includes('put to sleep'))).toBe(true);
    const run = await lease();
    expect(backend.running()).toEqual([run.containerId]);
    run.release();
  });
});

describe('MAX_RUNNING', () => {
  it('stops the longest idle to make room, and never runs more', async () => {
    const { backend } = await opened({}, { maxRunning: 3 });
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, backend.running().length)), 1);
    const names = ['a/one', 'a/two', 'a/three', 'a/four', 'a/five', 'a/six'].map(parseReference);
    for (const name of names) {
      (await lease(name)).release();
      await delay(5);
    }
    clearInterval(watch);
    expect(names.map((name) => state(name))).toEqual(['stopped', 'stopped', 'stopped', 'running', 'running', 'running']);
    expect(most).toBe(3);
  });

  it('holds for starts at the same time', async () => {
    const { backend } = await opened({}, { maxRunning: 2, roomTimeoutMs: 5_000 });
    backend.latencyMs = 3;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, backend.running().length)), 1);
    await Promise.all(Array.from({ length: 8 }, async (_, at) => (await lease(parseReference(`a/app${at}`))).release()));
    clearInterval(watch);
    expect(most).toBeLessThanOrEqual(2);
  });

  it('never stops one with requests in flight: the newcomer waits, then is refused', async () => {
    const { backend } = await opened({}, { maxRunning: 1, roomTimeoutMs: 150 });
    const held = await lease(parseReference('a/one'));
    await expect(lease(parseReference('a/two'))).rejects.toMatchObject({ code: 'queue_full' });
    expect(backend.running()).toEqual([held.containerId]);
    const waiting = lease(parseReference('a/two'));
    await delay(40);
    held.release();
    (await waiting).release();
    expect(backend.running()).toHaveLength(1);
  });
});
