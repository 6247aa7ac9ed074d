import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../../src/core/single-flight.ts';

describe('SingleFlight', () => {
  it('runs one job for all who ask, and a new one afterwards', async () => {
    const flights = new SingleFlight<number>();
    let runs = 0;
    const job = async (): Promise<number> => await Promise.resolve(++runs);
    expect(await Promise.all([flights.run('a', job), flights.run('a', job), flights.run('b', job)])).toEqual([1, 1, 2]);
    expect(flights.size).toBe(0);
    expect(await flights.run('a', job)).toBe(3);
  });

  it('gives everyone the same failure, also one that is thrown at once', async () => {
    const flights = new SingleFlight<number>();
    const job = (): Promise<number> => {
      throw new Error('broken');
    };
    const both = await Promise.allSettled([flights.run('a', job), flights.run('a', job)]);
    expect(both.map((one) => one.status)).toEqual(['rejected', 'rejected']);
    expect(flights.has('a')).toBe(false);
    expect(await flights.run('a', () => Promise.resolve(1))).toBe(1);
  });

  it('lets a caller leave while the job goes on for the others', async () => {
    const flights = new SingleFlight<string>();
    let finish!: (value: string) => void;
    const job = (): Promise<string> => new Promise((resolve) => (finish = resolve));
    const leaving = new AbortController();
    const left = flights.run('a', job, leaving.signal);
    const stayed = flights.run('a', job);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(flights.has('a')).toBe(true);
    finish('done');
    expect(await stayed).toBe('done');
    await expect(flights.run('a', job, leaving.signal)).rejects.toThrow('gone');
    expect(flights.has('a')).toBe(false);
  });

  it('lets a job fail that everyone has left', async () => {
    const flights = new SingleFlight<string>();
    let fail!: (error: Error) => void;
    const leaving = new AbortController();
    const left = flights.run('a', () => new Promise((_resolve, reject) => (fail = reject)), leaving.signal);
    await expect.poll(() => typeof fail).toBe('function');
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    fail(new Error('nobody hears this'));
    await expect.poll(() => flights.size).toBe(0);
  });
});
