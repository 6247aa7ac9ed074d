import { setMaxListeners } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import { steadyMs, timeOfDay } from '../../../src/core/steady-clock.ts';
import type { TableOptions } from '../../../src/instances/instance-table.ts';
import type { Run } from '../../../src/instances/run.ts';
import type { CountedStart } from '../../../src/security/proxy/wake-rate.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { FakeBackend } from '../../fakes/fake-backend.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { until } from '../../lab/until.ts';

const WEB = parseReference('alice/web:main');
const KEY = 'alice/web:main';
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

let bench: TableBench;
afterEach(async () => {
  await bench.close();
  expect(bench.complaints.filter((line) => line.includes('no life makes'))).toEqual([]);
});

async function opened(...options: Parameters<typeof makeTable>): Promise<TableBench> {
  bench = makeTable(...options);
  await bench.table.open();
  return bench;
}

const lease = (signal = NEVER): Promise<Run> => bench.table.lease(WEB, undefined, signal);
const use = async (): Promise<string> => {
  const run = await lease();
  run.release();
  return run.containerId;
};
const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'none', (thrown: unknown) => (thrown as PipesError).code);
/** Counts as `WakeRate` does, without end. */
function tallied(): { admit: TableOptions['admitColdStart']; clients: () => number; newTargets: () => number } {
  let clients = 0;
  let newTargets = 0;
  const admit = (_client: string | undefined, isNewTarget: boolean): CountedStart => {
    clients += 1;
    newTargets += isNewTarget ? 1 : 0;
    const foundNoImage = (): void => void (newTargets -= isNewTarget ? 1 : 0);
    const undo = (): void => {
      clients -= 1;
      foundNoImage();
    };
    return { foundNoImage, undo };
  };
  return { admit, clients: () => clients, newTargets: () => newTargets };
}
const state = (): string => bench.table.report(WEB).state;

describe('a wake', () => {
  it('makes one container for two hundred who ask at once', async () => {
    const { table, backend, images } = await opened();
    backend.latencyMs = 5;
    const runs = await Promise.all(Array.from({ length: 200 }, () => lease()));
    expect(new Set(runs.map((run) => run.containerId)).size).toBe(1);
    expect(backend.ids()).toHaveLength(1);
    expect(images.asked).toBe(1);
    expect(table.report(WEB)).toMatchObject({ state: 'running', inFlight: 200, managed: true, digest: 'sha256:digest', error: null, lastWake: { from: 'absent' } });
    for (const run of runs) run.release();
    expect(table.report(WEB).inFlight).toBe(0);
  });

  it('costs the engine nothing once it is warm', async () => {
    const { table, backend } = await opened();
    await use();
    const calls = backend.calls.length;
    for (let at = 0; at < 1000; at += 1) table.tryLease(KEY)!.release();
    expect(backend.calls.length).toBe(calls);
  });

  it('ends as shutting_down when pipes stops meanwhile', async () => {
    const { table, configs } = await opened();
    configs.containers.set(KEY, { env: { BEHAVIOUR: 'silent' } });
    const woken = codeOf(lease());
    await until('it is on its way', () => state() === 'starting');
    await table.close();
    expect(await woken).toBe('shutting_down');
  });

  it('goes on for the others when one leaves', async () => {
    const { backend } = await opened();
    backend.latencyMs = 10;
    const leaving = new AbortController();
    const left = lease(leaving.signal);
    const stays = lease();
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    (await stays).release();
    expect(backend.ids()).toHaveLength(1);
  });

  it('keeps nothing of names that do not exist', async () => {
    const { table, images } = await opened();
    for (let at = 0; at < 50; at += 1) {
      images.missing.add(`docker.io/x/y${at}:latest`);
      expect(await codeOf(table.lease(parseReference(`x/y${at}`), undefined, NEVER))).toBe('image_not_found');
    }
    expect(table.reports()).toEqual([]);
  });

  it('keeps nothing of a name that does not exist when its caller leaves first', async () => {
    const { table, backend, images } = await opened();
    images.missing.add('docker.io/alice/web:main');
    backend.latencyMs = 10;
    const leaving = new AbortController();
    const left = codeOf(lease(leaving.signal));
    leaving.abort(new Error('left'));
    await left;
    // What is known is found by a tag in another case.
    const other = parseReference('alice/web:Main');
    expect(table.canonical(other)).toEqual(WEB);
    await until('it is forgotten', () => table.canonical(other) === other);
  });

  it('takes back what it counted of new targets when there is no such image, also when its caller left first', async () => {
    const counted = tallied();
    const { table, images } = await opened({ admitColdStart: counted.admit });
    for (let at = 0; at < 20; at += 1) {
      images.missing.add(`docker.io/x/y${at}:latest`);
      const leaving = new AbortController();
      const asked = codeOf(table.lease(parseReference(`x/y${at}`), undefined, leaving.signal));
      if (at % 2 === 0) leaving.abort(new PipesError('internal', 'left'));
      expect(await asked).toBe(at % 2 === 0 ? 'internal' : 'image_not_found');
    }
    await use();
    await until('all is settled', () => counted.newTargets() === 1);
    expect(counted.clients()).toBe(21);
  });

  it('counts nothing of a client that only meets a back-off, a name known to be missing, or an engine that is away', async () => {
    const counted = tallied();
    const { table, images, configs, backend } = await opened({ admitColdStart: counted.admit });
    configs.containers.set(KEY, { env: { BEHAVIOUR: 'exits' } });
    for (let at = 0; at < 5; at += 1) expect(await codeOf(lease())).toBe('instance_failed');
    expect(counted.clients()).toBe(1);
    images.missing.add('docker.io/x/y:latest');
    for (let at = 0; at < 5; at += 1) {
      expect(await codeOf(table.lease(parseReference('x/y'), undefined, NEVER))).toBe('image_not_found');
      images.knownMissing.add('docker.io/x/y:latest');
    }
    expect(counted.clients()).toBe(2);
    backend.isUp = false;
    expect(await codeOf(table.lease(parseReference('x/z'), undefined, NEVER))).toBe('engine_unavailable');
    expect([counted.clients(), counted.newTargets()]).toEqual([2, 1]);
  });

  it('counts a tag that is written otherwise once', async () => {
    const counted = tallied();
    const { table, images } = await opened({ admitColdStart: counted.admit });
    images.trueTags.set('docker.io/alice/web:release', 'Release');
    (await table.lease(parseReference('alice/web:release'), undefined, NEVER)).release();
    expect([counted.clients(), counted.newTargets()]).toEqual([1, 1]);
  });

  it('asks whether it may before it counts as a cold start', async () => {
    let admitted = 0;
    await opened({
      admitColdStart: () => {
        admitted += 1;
        return undefined;
      },
    });
    expect(await codeOf(bench.table.lease(parseReference('forbidden/web'), undefined, NEVER))).toBe('image_forbidden');
    expect(admitted).toBe(0);
    await use();
    await use();
    expect(admitted).toBe(1);
  });

  it('serves the tag as it is really written, also to who asks for it in lower case', async () => {
    const { table, images, backend } = await opened();
    images.trueTags.set('docker.io/alice/web:release', 'Release');
    const lower = await table.lease(parseReference('alice/web:release'), undefined, NEVER);
    const exact = await table.lease(parseReference('alice/web:Release'), undefined, NEVER);
    expect(lower.containerId).toBe(exact.containerId);
    expect(backend.ids()).toEqual([lower.containerId]);
    expect(table.canonical(parseReference('alice/web:RELEASE')).tag).toBe('Release');
    expect(table.tryLease('alice/web:release')).toBe(lower);
  });
});

describe('what happens behind its back', () => {
  const happenings: [string, (id: string) => Promise<void> | void][] = [
    ['kill', (id) => bench.backend.kill(id)],
    ['crash', (id) => bench.backend.crash(id)],
    ['rm -f', (id) => bench.backend.removeByHand(id)],
    ['restart', (id) => bench.backend.restartByHand(id)],
    ['pause', (id) => bench.backend.pauseByHand(id)],
  ];
  it.each(happenings)('%s: the next request is served', async (_name, happen) => {
    const { backend } = await opened();
    const before = await lease();
    before.release();
    await happen(before.containerId);
    await until('the engine has told', () => {
      const run = bench.table.tryLease(KEY);
      run?.release();
      return run !== before;
    });
    const id = await use();
    expect(backend.running(KEY)).toEqual([id]);
    expect(state()).toBe('running');
  });

  it('brings back at once what died by itself in use, and not what somebody killed', async () => {
    const { backend } = await opened();
    backend.kill(await use());
    await until('it is noticed', () => state() === 'stopped');
    const id = await use();
    backend.crash(id);
    await until('it is back', () => backend.running(KEY).length === 1 && state() === 'running');
  });

  it('backs off from a crash loop', async () => {
    const { backend } = await opened();
    const first = await lease();
    first.release();
    backend.crash(first.containerId);
    await until('it is back', () => {
      const run = bench.table.tryLease(KEY);
      run?.release();
      return run !== undefined && run !== first;
    });
    backend.crash(first.containerId);
    await until('it is down', () => state() === 'stopped');
    const refused = await lease().catch((thrown: unknown) => thrown as PipesError);
    expect(refused).toMatchObject({ code: 'instance_failed', retryAfterS: 2 });
    await bench.table.start(WEB);
    expect(state()).toBe('running');
  });

  it('makes a new one when the container is removed between the look at it and its start', async () => {
    const { table, backend } = await opened();
    const before = await use();
    await table.stop(WEB);
    const start = backend.start.bind(backend);
    backend.start = async (id) => {
      if (id === before) backend.removeByHand(id);
      await start(id);
    };
    const now = await use();
    expect(now).not.toBe(before);
    expect(backend.running(KEY)).toEqual([now]);
    expect(table.report(WEB).error).toBeNull();
  });
});

describe('taking over', () => {
  it('serves what runs already, starts what sleeps, and removes what a crash left over', async () => {
    const backend = new FakeBackend();
    const first = makeTable({ backend });
    await first.table.open();
    (await first.table.lease(WEB, undefined, NEVER)).release();
    const other = parseReference('alice/other');
    (await first.table.lease(other, undefined, NEVER)).release();
    await first.table.stop(other);
    await first.table.close();
    const [kept] = backend.ids(KEY);
    // A replacement that was killed between the two.
    const spec = (await import('../../fakes/specs.ts')).specOf(WEB, {});
    await backend.create(spec);

    await opened({ backend });
    expect(bench.table.reports().map(({ reference, state: seen }) => [reference, seen]).sort()).toEqual([
      ['alice/other:latest', 'stopped'],
      [KEY, 'running'],
    ]);
    expect(backend.ids(KEY)).toEqual([kept]);
    expect(await use()).toBe(kept);
    (await bench.table.lease(other, undefined, NEVER)).release();
    expect(backend.ids()).toHaveLength(2);
  });

  it('counts the idle time of what it took over from then on, however often it looks', async () => {
    const first = makeTable();
    await first.table.open();
    (await first.table.lease(WEB, undefined, NEVER)).release();
    await first.table.close();
    let nowMs = steadyMs();
    await opened({ backend: first.backend, now: () => nowMs });
    const takenOverAtMs = nowMs;
    nowMs += 30_000;
    await bench.table.reconcile();
    expect(bench.table.report(WEB).lastUsedAt).toEqual(timeOfDay(takenOverAtMs));
    // Whether it is ready is still asked by its first request.
    expect(bench.table.tryLease(KEY)).toBeUndefined();
    await use();
    expect(bench.table.tryLease(KEY)).toBeDefined();
    expect(bench.backend.ids(KEY)).toHaveLength(1);
  });

  it('believes no list that is older than what it serves', async () => {
    const { table, backend, configs } = await opened();
    const old = await use();
    const list = await backend.list();
    configs.containers.set(KEY, { env: { A: '1' } });
    await table.reconfigure(WEB);
    await until('the old one is gone', () => backend.ids(KEY).length === 1);
    const now = await use();
    expect(now).not.toBe(old);
    backend.list = () => Promise.resolve(list);
    await table.reconcile();
    expect(await use()).toBe(now);
    expect(backend.ids(KEY)).toEqual([now]);
  });

  it('believes no list that was asked for before a wake, so the requests of that wake go on being counted', async () => {
    const { table, backend } = await opened();
    await use();
    await table.stop(WEB);
    const list = await backend.list();
    let answer = (): void => undefined;
    backend.list = () => new Promise((resolve) => (answer = () => resolve(list)));
    const reconciled = table.reconcile();
    const run = await lease();
    answer();
    await reconciled;
    expect(run.ended).toBe(false);
    expect(table.report(WEB)).toMatchObject({ state: 'running', inFlight: 1 });
  });

  it('uses a container that someone started by hand and never touches it', async () => {
    const { table, backend } = await opened();
    const id = await backend.startByHand('alice/web', 'main');
    expect(await use()).toBe(id);
    expect(table.report(WEB).managed).toBe(false);
    const changed = ['stop', 'pause', 'remove', 'create'];
    for (const attempt of [table.stop(WEB), table.restart(WEB), table.remove(WEB), table.reconfigure(WEB)]) expect(await codeOf(attempt)).toBe('not_managed');
    expect(() => table.assertManaged(WEB)).toThrow();
    expect(backend.calls.filter((call) => changed.includes(call))).toEqual([]);
    backend.kill(id);
    await until('it is noticed', () => state() === 'absent');
    expect(await use()).not.toBe(id);
    expect(backend.calls).not.toContain('remove');
  });
});

describe('a container that does not come up', () => {
  it('fails at once with its exit code and last lines, then waits longer each time', async () => {
    let nowMs = 1_000_000;
    const { backend, configs } = await opened({ now: () => nowMs });
    configs.containers.set(KEY, { env: { BEHAVIOUR: 'exits' } });
    for (const waitS of [2, 4, 8]) {
      const failed = (await lease().catch((thrown: unknown) => thrown)) as PipesError;
      expect(failed).toMatchObject({ code: 'instance_failed', members: { exitCode: 3 }, privateDetail: ['one', 'two', 'three'], retryAfterS: waitS });
      expect(state()).toBe('failed');
      const calls = backend.calls.length;
      nowMs += waitS * 1000 - 1;
      expect(await codeOf(lease())).toBe('instance_failed');
      expect(backend.calls.slice(calls)).not.toContain('start');
      nowMs += 1;
    }
    expect(backend.ids()).toHaveLength(1);
  });

  it('is named when nothing listens, stopped, and kept', async () => {
    const { backend, configs } = await opened({ defaults: { startTimeoutMs: 80 } });
    configs.containers.set(KEY, { env: { BEHAVIOUR: 'silent' } });
    const failed = (await lease().catch((thrown: unknown) => thrown)) as PipesError;
    expect(failed.code).toBe('instance_not_ready');
    expect(failed.message).toContain('0.08 s');
    expect(backend.running()).toEqual([]);
    expect(backend.ids()).toHaveLength(1);
  });

  it.each([[true], [false]])('keeps its reason and its back-off when somebody removes it by hand (told: %s)', async (isTold) => {
    const { table, backend, configs } = await opened();
    configs.containers.set(KEY, { env: { BEHAVIOUR: 'exits' } });
    expect(await codeOf(lease())).toBe('instance_failed');
    const [id] = backend.ids(KEY);
    backend.isUp = isTold;
    backend.removeByHand(id!);
    backend.isUp = true;
    if (isTold) await until('it is noticed', () => table.report(WEB).containerId === null);
    for (let at = 0; at < 3; at += 1) expect(await lease().catch((thrown: unknown) => thrown)).toMatchObject({ code: 'instance_failed', privateDetail: ['one', 'two', 'three'] });
    expect(table.report(WEB)).toMatchObject({ state: 'failed', containerId: null, error: { code: 'instance_failed' } });
    expect(backend.ids(KEY)).toEqual([]);
    await table.remove(WEB);
    expect(table.reports()).toEqual([]);
  });

  it('is tried again at once after its configuration changed', async () => {
    const { configs } = await opened();
    configs.containers.set(KEY, { env: { BEHAVIOUR: 'exits' } });
    expect(await codeOf(lease())).toBe('instance_failed');
    configs.containers.set(KEY, {});
    await bench.table.reconfigure(WEB);
    await use();
    expect(bench.backend.ids()).toHaveLength(1);
    expect(bench.table.report(WEB).error).toBeNull();
  });
});

describe('replacement', () => {
  it('starts the new beside the old, switches, drains and removes the old', async () => {
    const { table, backend, configs } = await opened();
    const held = await lease();
    configs.containers.set(KEY, { env: { A: '1' } });
    await table.reconfigure(WEB);
    const now = await use();
    expect(now).not.toBe(held.containerId);
    expect(backend.running(KEY).sort()).toEqual([held.containerId, now].sort());
    held.release();
    await until('the old one is gone', () => backend.ids(KEY).length === 1);
    expect(backend.running(KEY)).toEqual([now]);
  });

  it('stops the old first where a writable volume is mounted, and holds requests meanwhile', async () => {
    const { table, backend, configs } = await opened();
    configs.containers.set(KEY, { volumes: ['data:/data'] });
    const before = await use();
    backend.latencyMs = 5;
    configs.containers.set(KEY, { volumes: ['data:/data'], env: { A: '1' } });
    let mostAtOnce = 0;
    const watch = setInterval(() => (mostAtOnce = Math.max(mostAtOnce, backend.running(KEY).length)), 1);
    const [after] = await Promise.all([new Promise<void>((resolve) => setTimeout(resolve, 8)).then(use), table.reconfigure(WEB)]);
    clearInterval(watch);
    expect(after).not.toBe(before);
    expect(mostAtOnce).toBe(1);
    expect(backend.ids(KEY)).toEqual([after]);
  });

  it.each([[{}], [{ volumes: ['data:/data'] }]])('keeps the old one serving when the new one fails (%o)', async (common) => {
    const { table, backend, configs } = await opened();
    configs.containers.set(KEY, common);
    const old = await use();
    configs.containers.set(KEY, { ...common, env: { BEHAVIOUR: 'exits' } });
    expect(await codeOf(table.reconfigure(WEB))).toBe('instance_failed');
    expect(await use()).toBe(old);
    expect(backend.ids(KEY)).toEqual([old]);
    expect(table.report(WEB)).toMatchObject({ state: 'running', error: { code: 'instance_failed' } });
  });

  it('shows that neither came up where the old one cannot come back', async () => {
    const { table, backend, configs } = await opened();
    configs.containers.set(KEY, { volumes: ['data:/data'] });
    const old = await use();
    const start = backend.start.bind(backend);
    backend.start = (id) => (id === old ? Promise.reject(new PipesError('image_unusable', 'Its program is gone.')) : start(id));
    configs.containers.set(KEY, { volumes: ['data:/data'], env: { BEHAVIOUR: 'exits' } });
    expect(await codeOf(table.reconfigure(WEB))).toBe('instance_failed');
    expect(table.report(WEB)).toMatchObject({ state: 'failed', containerId: old, error: { code: 'instance_failed' } });
    configs.containers.set(KEY, { volumes: ['data:/data'] });
    await table.reconfigure(WEB);
    backend.start = start;
    expect(await use()).toBe(old);
  });

  it('makes anew at the next request what slept while its configuration or image changed', async () => {
    const { table, backend, configs, images } = await opened();
    const first = await use();
    await table.stop(WEB);
    expect(await use()).toBe(first);
    await table.stop(WEB);
    configs.containers.set(KEY, { memory: '64m' });
    const second = await use();
    expect(second).not.toBe(first);
    await table.stop(WEB);
    images.ids.set('docker.io/alice/web:main', 'sha256:newer');
    const third = await use();
    expect(third).not.toBe(second);
    expect(backend.ids(KEY)).toEqual([third]);
  });

  it('starts what is there when its image cannot be had any more', async () => {
    const { table, images } = await opened();
    const id = await use();
    await table.stop(WEB);
    images.missing.add('docker.io/alice/web:main');
    expect(await use()).toBe(id);
  });
});

describe('stop and request', () => {
  it('lets a request that meets the stop start it again', async () => {
    const { table, backend } = await opened();
    const held = await lease();
    const stopping = table.stop(WEB);
    await until('it is stopping', () => state() === 'stopping');
    const meeting = use();
    held.release();
    const id = await meeting;
    await stopping;
    expect(backend.running(KEY)).toEqual([id]);
  });

  it('lets requests in flight finish first, and nothing new begins meanwhile', async () => {
    const { table, backend } = await opened();
    const held = await lease();
    const stopping = table.stop(WEB);
    await until('it is stopping', () => state() === 'stopping');
    expect(backend.running(KEY)).toHaveLength(1);
    expect(table.tryLease(KEY)).toBeUndefined();
    held.release();
    await stopping;
    expect(backend.running(KEY)).toEqual([]);
  });

  it('removes with all that was open when told to', async () => {
    const { table, backend } = await opened({ drainTimeoutMs: 20 });
    await lease();
    await table.remove(WEB);
    expect(backend.ids()).toEqual([]);
    expect(state()).toBe('absent');
  });
});
