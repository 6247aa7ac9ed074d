import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, BackendListener, OutputOptions, RunSpec } from '../../src/instances/backend.ts';
import { printReference, type Reference } from '../../src/targets/reference.ts';
import { until } from '../lab/until.ts';

/** What the contained program does. */
export type Behaviour =
  /** Runs until it is told to stop. */
  | 'serves'
  /** Writes the lines `one`, `two`, `three` and exits with code 3. */
  | 'exits'
  /** Its image names a program that is not in it, so that it never runs: `start` rejects, or it exits at once with a code that is not 0. */
  | 'unrunnable';

/** A backend under test, with what the suite cannot know of it. */
export interface BackendUnderTest {
  readonly backend: Backend;
  /** What to create, for a reference that nothing else uses. The same behaviour always has the same image. */
  spec(reference: Reference, behaviour: Behaviour): Promise<RunSpec> | RunSpec;
  /** Ends what `makeBackend` began. */
  close(): Promise<void>;
}

const NEVER = new AbortController().signal;

/** The promises of the port `Backend`, which Docker and the tests' fake both keep. */
export function describeBackend(name: string, makeBackend: () => Promise<BackendUnderTest>): void {
  describe(`${name} keeps the contract of Backend`, () => {
    let under: BackendUnderTest;
    let backend: Backend;
    let count = 0;
    const made: string[] = [];

    beforeAll(async () => {
      under = await makeBackend();
      backend = under.backend;
    });
    afterEach(async () => {
      for (const id of made.splice(0)) await backend.remove(id);
    });
    afterAll(async () => {
      await under.close();
    });

    const newReference = (): Reference => ({ user: 'contract', repo: `app${process.pid}-${++count}`, tag: 'v1.Main' });

    const create = async (behaviour: Behaviour): Promise<{ id: string; spec: RunSpec }> => {
      const spec = await under.spec(newReference(), behaviour);
      const id = await backend.create(spec);
      made.push(id);
      return { id, spec };
    };

    const started = async (behaviour: Behaviour): Promise<{ id: string; spec: RunSpec }> => {
      const one = await create(behaviour);
      await backend.start(one.id);
      return one;
    };

    const exited = async (id: string) => await until('the container exits', async () => {
      const observed = await backend.inspect(id);
      return observed?.state === 'exited' ? observed : undefined;
    });

    /** Its output up to its end; undefined when there is none to read. */
    const output = async (id: string, options: Partial<OutputOptions> = {}): Promise<string[] | undefined> => {
      const lines: string[] = [];
      const batches = await backend.logs(id, { follow: false, tail: undefined, signal: NEVER, ...options });
      if (!batches) return undefined;
      for await (const batch of batches) lines.push(...batch);
      return lines;
    };

    it('creates without starting, and tells what it created it from', async () => {
      const { id, spec } = await create('serves');
      const observed = await backend.inspect(id);
      expect(observed).toMatchObject({
        id,
        reference: printReference(spec.reference),
        managed: true,
        state: 'created',
        exitCode: undefined,
        oomKilled: false,
        startedAt: undefined,
        imageId: spec.image.id,
        configHash: spec.configHash,
        upstream: undefined,
      });
    });

    it('makes as many containers of one reference as it is asked for', async () => {
      const { id, spec } = await create('serves');
      const second = await backend.create(spec);
      made.push(second);
      expect(second).not.toBe(id);
      expect((await backend.list()).filter((one) => one.reference === printReference(spec.reference)).map((one) => one.id).sort()).toEqual([id, second].sort());
    });

    it('tells the address and the start of a running one, in a new object at each look', async () => {
      const { id, spec } = await started('serves');
      const observed = await backend.inspect(id);
      expect(observed?.state).toBe('running');
      expect(observed?.startedAt).toBeInstanceOf(Date);
      expect(observed?.upstream?.port).toBeGreaterThan(0);
      expect(observed?.upstream?.host).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      const again = await backend.inspect(id);
      expect(again?.upstream).toEqual(observed?.upstream);
      expect(again?.upstream).not.toBe(observed?.upstream);
      expect((await backend.list()).find((one) => one.id === id)).toMatchObject({ state: 'running', reference: printReference(spec.reference), managed: true });
    });

    it('starts what runs already, without harm', async () => {
      const { id } = await started('serves');
      const before = await backend.inspect(id);
      await backend.start(id);
      expect((await backend.inspect(id))?.startedAt).toEqual(before?.startedAt);
    });

    it('pauses and unpauses; a paused one keeps its address; twice is once', async () => {
      const { id } = await started('serves');
      await backend.pause(id);
      await backend.pause(id);
      const paused = await backend.inspect(id);
      expect(paused?.state).toBe('paused');
      expect(paused?.upstream).toBeDefined();
      await backend.unpause(id);
      await backend.unpause(id);
      expect((await backend.inspect(id))?.state).toBe('running');
    });

    it('starting a paused one makes it run', async () => {
      const { id } = await started('serves');
      await backend.pause(id);
      await backend.start(id);
      expect((await backend.inspect(id))?.state).toBe('running');
    });

    it('stops a running and a paused one, which then can be started again', async () => {
      const { id } = await started('serves');
      await backend.stop(id, 5);
      const stopped = await backend.inspect(id);
      expect(stopped).toMatchObject({ state: 'exited', upstream: undefined });
      expect(stopped?.exitCode).toBeTypeOf('number');
      expect(stopped?.finishedAt?.getTime()).toBeGreaterThanOrEqual(stopped?.startedAt?.getTime() ?? Infinity);
      await backend.stop(id, 5);
      await backend.start(id);
      const again = await backend.inspect(id);
      expect(again?.state).toBe('running');
      expect(again?.startedAt?.getTime()).toBeGreaterThan(stopped?.startedAt?.getTime() ?? 0);
      await backend.pause(id);
      await backend.stop(id, 5);
      expect((await backend.inspect(id))?.state).toBe('exited');
    });

    it('does nothing to the pause of one that does not run', async () => {
      const { id } = await started('serves');
      await backend.stop(id, 5);
      await backend.pause(id);
      await backend.unpause(id);
      expect((await backend.inspect(id))?.state).toBe('exited');
    });

    it('tells the exit code and the last lines, oldest first', async () => {
      const { id } = await started('exits');
      expect((await exited(id)).exitCode).toBe(3);
      expect(await backend.lastLines(id, 200)).toEqual(['one', 'two', 'three']);
      expect(await backend.lastLines(id, 2)).toEqual(['two', 'three']);
    });

    it('gives the output, whole or its last lines, and ends there', async () => {
      const { id } = await started('exits');
      await exited(id);
      expect(await output(id)).toEqual(['one', 'two', 'three']);
      expect(await output(id, { tail: 2 })).toEqual(['two', 'three']);
      expect(await output(id, { tail: 0 })).toEqual([]);
      expect(await output(id, { follow: true })).toEqual(['one', 'two', 'three']);
    });

    it('follows the output until the container ends', async () => {
      const { id } = await create('exits');
      await backend.start(id);
      expect(await output(id, { follow: true })).toEqual(['one', 'two', 'three']);
      const quiet = await started('serves');
      const followed = output(quiet.id, { follow: true, tail: 0 });
      await backend.stop(quiet.id, 5);
      expect(await followed).toEqual([]);
    });

    it('follows the output until it is told that nobody reads on, which is no error', async () => {
      const { id } = await started('serves');
      const leaving = new AbortController();
      const batches = await backend.logs(id, { follow: true, tail: 0, signal: leaving.signal });
      const ended = (async () => {
        for await (const _ of batches!);
        return 'ended';
      })();
      expect(await Promise.race([ended, new Promise((resolve) => setImmediate(resolve, 'goes on'))])).toBe('goes on');
      leaving.abort();
      expect(await ended).toBe('ended');
    });

    it('tells what a running and a paused one use, and nothing of others', async () => {
      const { id } = await create('serves');
      expect(await backend.stats(id, NEVER)).toBeUndefined();
      await backend.start(id);
      const first = await backend.stats(id, NEVER);
      expect(first?.memoryUsedBytes).toBeGreaterThan(0);
      expect(first?.memoryLimitBytes).toBeGreaterThan(first?.memoryUsedBytes ?? Infinity);
      expect(first?.pids).toBeGreaterThan(0);
      expect(first?.networkReceivedBytes).toBeGreaterThanOrEqual(0);
      expect(first?.networkSentBytes).toBeGreaterThanOrEqual(0);
      await backend.pause(id);
      const second = await until('it looks again', async () => {
        const usage = await backend.stats(id, NEVER);
        return usage !== undefined && usage.atMs > first!.atMs ? usage : undefined;
      });
      expect(second.cpuTotalNs).toBeGreaterThanOrEqual(first!.cpuTotalNs);
      await backend.stop(id, 5);
      expect(await backend.stats(id, NEVER)).toBeUndefined();
      await expect(backend.stats(id, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    });

    it('shows that an image cannot run, by an error or an exit', async () => {
      const { id } = await create('unrunnable');
      const failure = await backend.start(id).then(() => undefined, (error: unknown) => error);
      if (failure !== undefined) expect(failure).toMatchObject({ code: 'image_unusable' });
      else expect((await exited(id)).cannotRun).toContain('no');
    });

    it('removes a created, a running, a paused and an exited one', async () => {
      const ids = [(await create('serves')).id, (await started('serves')).id, (await started('serves')).id, (await started('exits')).id];
      await backend.pause(ids[2]!);
      await exited(ids[3]!);
      for (const id of ids) await backend.remove(id);
      for (const id of ids) expect(await backend.inspect(id)).toBeUndefined();
      const listed = (await backend.list()).map((one) => one.id);
      expect(listed.filter((id) => ids.includes(id))).toEqual([]);
    });

    it('takes a container that is gone as done or not found', async () => {
      const { id } = await create('serves');
      await Promise.all([backend.remove(id), backend.remove(id)]);
      await backend.remove(id);
      await backend.start(id);
      await backend.pause(id);
      await backend.unpause(id);
      await backend.stop(id, 1);
      expect(await backend.inspect(id)).toBeUndefined();
      expect(await backend.lastLines(id, 10)).toEqual([]);
      expect(await output(id)).toBeUndefined();
      expect(await backend.stats(id, NEVER)).toBeUndefined();
    });

    it('never offers its own containers as someone else\'s', async () => {
      const { spec } = await started('serves');
      expect(await backend.findForeign(spec.reference, spec.imageRef, undefined)).toBeUndefined();
    });

    it('tells changes from the moment that it says so until it is stopped', async () => {
      const { id } = await create('serves');
      const changes: string[] = [];
      let restored = 0;
      const listener: BackendListener = {
        changed: (changed, what) => {
          if (changed === id) changes.push(what);
        },
        lost: () => undefined,
        restored: () => restored++,
      };
      const watch = backend.watch(listener);
      await until('the watch begins', () => restored === 1);
      await backend.start(id);
      await backend.pause(id);
      await backend.unpause(id);
      await backend.stop(id, 5);
      await backend.remove(id);
      await until('all changes are told', () => changes.includes('removed'));
      expect(changes).toEqual(['started', 'paused', 'unpaused', 'died', 'removed']);
      await watch.stop();
      expect(restored).toBe(1);
    });

    it('tells one that ended by itself from one that was stopped, and nothing more once it is told to stop', async () => {
      const told: string[] = [];
      const watch = backend.watch({ changed: (id, what) => told.push(`${id} ${what}`), lost: () => undefined, restored: () => told.push('restored') });
      await until('the watch begins', () => told.includes('restored'));
      const { id } = await started('exits');
      await until('its end is told', () => told.includes(`${id} crashed`));
      expect(told).not.toContain(`${id} died`);
      await watch.stop();
      const later = await started('exits');
      await exited(later.id);
      expect(told.filter((line) => line.startsWith(later.id))).toEqual([]);
    });
  });
}
