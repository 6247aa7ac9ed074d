import { afterEach, describe, expect, it } from 'vitest';
import type { PipesError } from '../../../src/core/errors.ts';
import type { WakeProgress } from '../../../src/instances/wake-progress.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { until } from '../../lab/until.ts';

const WEB = parseReference('alice/web:main');
const NEVER = new AbortController().signal;

let bench: TableBench;
afterEach(() => bench.close());

async function opened(...options: Parameters<typeof makeTable>): Promise<TableBench> {
  bench = makeTable(...options);
  await bench.table.open();
  return bench;
}

/** Everything that one who watches is told, and how to stop watching. */
function watch(text: string): { told: WakeProgress[]; phases: () => string[]; leave: () => void } {
  const told: WakeProgress[] = [];
  const leave = bench.table.watch(parseReference(text), (progress) => told.push(progress));
  return { told, phases: () => told.map(({ phase }) => phase), leave };
}

describe('who watches a target', () => {
  it('that does not exist is told that it sleeps, and leaves nothing behind', async () => {
    const { table } = await opened();
    const { phases, leave } = watch('alice/never');
    expect(phases()).toEqual(['asleep']);
    leave();
    expect(table.reports()).toEqual([]);
    expect(table.stateCounts().get('absent') ?? 0).toBe(0);
  });

  it('is told each step of a wake that begins later, to its end', async () => {
    const { table } = await opened();
    const { phases } = watch('alice/web:main');
    (await table.lease(WEB, undefined, NEVER)).release();
    expect(phases()[0]).toBe('asleep');
    expect(phases().slice(1)).toEqual(['queued', 'creating', 'starting', 'probing', 'ready']);
  });

  it('in the middle of a wake is told where it is, at the latest that it began', async () => {
    const { table, backend } = await opened();
    backend.latencyMs = 20;
    const waking = table.lease(WEB, undefined, NEVER);
    expect(watch('alice/web:main').phases()).toEqual(['queued']);
    await until('it is being made', () => backend.calls.includes('create'));
    expect(watch('alice/web:main').phases()).toEqual(['creating']);
    (await waking).release();
  });

  it('that runs is told that it is ready, also when this process did not start it', async () => {
    const { table } = await opened();
    (await table.lease(WEB, undefined, NEVER)).release();
    expect(watch('alice/web:main').phases()).toEqual(['ready']);
    await table.stop(WEB);
    expect(watch('alice/web:main').phases()).toEqual(['asleep']);
  });

  it('hears no more after leaving', async () => {
    const { table } = await opened();
    const { phases, leave } = watch('alice/web:main');
    leave();
    (await table.lease(WEB, undefined, NEVER)).release();
    expect(phases()).toEqual(['asleep']);
  });

  it('goes on hearing when the container was removed and the next wake makes another', async () => {
    const { table } = await opened();
    (await table.lease(WEB, undefined, NEVER)).release();
    const { told, phases } = watch('alice/web:main');
    await table.remove(WEB);
    told.splice(0);
    (await table.lease(WEB, undefined, NEVER)).release();
    expect(phases().at(-1)).toBe('ready');
  });

  it('under a tag written in another case is told of the one that is meant', async () => {
    const { table, images } = await opened();
    images.trueTags.set('docker.io/alice/web:release', 'Release');
    const { phases } = watch('alice/web:release');
    (await table.lease(parseReference('alice/web:release'), undefined, NEVER)).release();
    expect(phases()).toContain('creating');
    expect(phases().at(-1)).toBe('ready');
  });
});

describe('a wake that fails', () => {
  it('tells those who watch why, and again those who come within the back-off, with the time that is left', async () => {
    const { table, configs } = await opened();
    configs.containers.set('alice/web:main', { env: { BEHAVIOUR: 'exits' } });
    const first = watch('alice/web:main');
    await table.lease(WEB, undefined, NEVER).catch(() => undefined);
    expect(first.told.at(-1)).toMatchObject({ phase: 'failed', error: { code: 'instance_failed' } });
    const second = watch('alice/web:main');
    expect(second.told).toMatchObject([{ phase: 'failed', error: { code: 'instance_failed', retryAfterS: 2 } }]);
    second.told.splice(0);
    await table.lease(WEB, undefined, NEVER).catch(() => undefined);
    expect(second.phases()).toEqual(['queued', 'failed']);
  });

  it('before anything was started tells them too', async () => {
    const { table, backend } = await opened();
    (await table.lease(WEB, undefined, NEVER)).release();
    await table.stop(WEB);
    backend.isUp = false;
    const { told } = watch('alice/web:main');
    const code = await table.lease(WEB, undefined, NEVER).then(() => 'none', (thrown: unknown) => (thrown as PipesError).code);
    expect(code).toBe('engine_unavailable');
    expect(told.at(-1)).toMatchObject({ phase: 'failed', error: { code: 'engine_unavailable' } });
    backend.isUp = true;
  });
});

describe('a request that is quiet', () => {
  it('keeps the run up while it lasts, and does not count as use', async () => {
    const { table } = await opened();
    const run = await table.lease(WEB, undefined, NEVER);
    run.release();
    run.lastUsedAtMs = 1_000;
    table.tryLease('alice/web:main');
    expect(run.inFlight).toBe(1);
    run.release(true);
    expect([run.inFlight, run.lastUsedAtMs]).toEqual([0, 1_000]);
    await run.drained(Infinity);
  });
});
