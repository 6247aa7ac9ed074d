import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { KnownInstances } from '../../fakes/known-instances.ts';
import { makeTable } from '../../fakes/table-bench.ts';
import { keptHeapBytes } from '../../lab/heap.ts';

const COUNT = 2_000;
const IDLE = { pauseMs: 120_000, stopMs: 1_800_000, removeMs: 604_800_000 };
const WATCHED_MS = 3_000;
const RECONCILE_EVERY_MS = 30_000;

it('2,000 known instances cost under 60 MB and no measurable CPU at rest', async () => {
  const backend = new KnownInstances(COUNT);
  const beforeBytes = keptHeapBytes();
  const bench = makeTable({ backend, defaults: { idle: IDLE }, reconcileEveryMs: RECONCILE_EVERY_MS });
  const { table, complaints } = bench;
  try {
    await table.open();
    expect(table.reports()).toHaveLength(COUNT);
    expect(table.reports().filter(({ state }) => state === 'running')).toHaveLength(Math.ceil(COUNT / 3));
    const keptBytes = keptHeapBytes() - beforeBytes;
    expect(keptBytes).toBeGreaterThan(COUNT * 100);
    expect(keptBytes).toBeLessThan(60 * 2 ** 20);

    const lists = backend.lists;
    const sinceCpu = process.cpuUsage();
    await wait(WATCHED_MS);
    // The reconcile is due only every 30 s; its share of these seconds counts too.
    expect(backend.lists).toBe(lists);
    const atRest = process.cpuUsage(sinceCpu);
    expect((atRest.user + atRest.system) / 1000 / WATCHED_MS).toBeLessThan(0.01);

    const beforeReconcile = process.cpuUsage();
    await table.reconcile();
    expect(backend.lists).toBe(lists + 1);
    const reconcile = process.cpuUsage(beforeReconcile);
    expect((reconcile.user + reconcile.system) / 1000 / RECONCILE_EVERY_MS).toBeLessThan(0.01);
    // What comes and goes with it is not kept.
    expect(keptHeapBytes() - beforeBytes).toBeLessThan(keptBytes + 5 * 2 ** 20);
    expect(complaints).toEqual([]);
  } finally {
    await bench.close();
  }
});
