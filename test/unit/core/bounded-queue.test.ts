import { describe, expect, it } from 'vitest';
import { BoundedQueue } from '../../../src/core/bounded-queue.ts';

const nobody = new AbortController().signal;

/** A job that ends when it is told to. */
function gate(): { job: () => Promise<string>; open: (value?: string) => void; started: () => boolean } {
  let open!: (value?: string) => void;
  let started = false;
  const opened = new Promise<string>((resolve) => (open = (value = 'done') => resolve(value)));
  return { job: () => ((started = true), opened), open, started: () => started };
}

describe('BoundedQueue', () => {
  it('runs so many at once and the rest in the order they came', async () => {
    const queue = new BoundedQueue({ name: 'pulls', concurrency: 2, waitingLimit: 10 });
    const gates = [gate(), gate(), gate(), gate()];
    const results = gates.map(({ job }) => queue.run(job, { signal: nobody }));
    expect(gates.map(({ started }) => started())).toEqual([true, true, false, false]);
    expect([queue.running, queue.waiting]).toEqual([2, 2]);
    gates[1]!.open('second');
    expect(await results[1]).toBe('second');
    await expect.poll(() => gates[2]!.started()).toBe(true);
    expect(gates[3]!.started()).toBe(false);
    for (const { open } of gates) open();
    await Promise.all(results);
    expect([queue.running, queue.waiting]).toEqual([0, 0]);
  });

  it('refuses what would wait beyond the limit', async () => {
    const queue = new BoundedQueue({ name: 'starts', concurrency: 1, waitingLimit: 1 });
    const [first, second] = [gate(), gate()];
    const running = [queue.run(first.job, { signal: nobody }), queue.run(second.job, { signal: nobody })];
    await expect(queue.run(gate().job, { signal: nobody })).rejects.toMatchObject({ code: 'queue_full', status: 503 });
    first.open();
    second.open();
    await Promise.all(running);
    const third = gate();
    third.open('room again');
    expect(await queue.run(third.job, { signal: nobody })).toBe('room again');
  });

  it('runs without a place to wait as long as it is idle', async () => {
    const queue = new BoundedQueue({ name: 'starts', concurrency: 1, waitingLimit: 0 });
    const first = gate();
    const running = queue.run(first.job, { signal: nobody });
    await expect(queue.run(gate().job, { signal: nobody })).rejects.toMatchObject({ code: 'queue_full' });
    first.open();
    await running;
  });

  it('lets a waiting job leave, and never runs it', async () => {
    const queue = new BoundedQueue({ name: 'pulls', concurrency: 1, waitingLimit: 5 });
    const [first, second] = [gate(), gate()];
    const leaving = new AbortController();
    const running = queue.run(first.job, { signal: nobody });
    const left = queue.run(second.job, { signal: leaving.signal });
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(queue.waiting).toBe(0);
    first.open();
    await running;
    expect(second.started()).toBe(false);
    await expect(queue.run(second.job, { signal: leaving.signal })).rejects.toThrow('gone');
  });

  it('keeps the place of a running job until it has really ended', async () => {
    const queue = new BoundedQueue({ name: 'pulls', concurrency: 1, waitingLimit: 5 });
    const [first, second] = [gate(), gate()];
    const leaving = new AbortController();
    let told: AbortSignal | undefined;
    const running = queue.run((signal) => ((told = signal), first.job()), { signal: leaving.signal });
    const next = queue.run(second.job, { signal: nobody });
    leaving.abort();
    expect(told?.aborted).toBe(true);
    expect([queue.running, second.started()]).toEqual([1, false]);
    first.open();
    second.open();
    await Promise.all([running, next]);
  });

  it('tells each waiting job how many are ahead', async () => {
    const queue = new BoundedQueue({ name: 'pulls', concurrency: 1, waitingLimit: 5 });
    const gates = [gate(), gate(), gate()];
    const told: string[] = [];
    const results = gates.map(({ job }, index) => queue.run(job, { signal: nobody, onPosition: (ahead) => told.push(`${index}:${ahead}`) }));
    expect(told).toEqual(['1:0', '2:1']);
    gates[0]!.open();
    await results[0];
    await expect.poll(() => told).toEqual(['1:0', '2:1', '2:0']);
    for (const { open } of gates) open();
    await Promise.all(results);
  });

  it('passes a failure on and goes on', async () => {
    const queue = new BoundedQueue({ name: 'pulls', concurrency: 1, waitingLimit: 5 });
    await expect(queue.run(() => Promise.reject(new Error('broken')), { signal: nobody })).rejects.toThrow('broken');
    expect(await queue.run(() => Promise.resolve('fine'), { signal: nobody })).toBe('fine');
    expect(queue.running).toBe(0);
  });
});
