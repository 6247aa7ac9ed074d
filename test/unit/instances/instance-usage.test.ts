import { describe, expect, it } from 'vitest';
import type { InstanceReport } from '../../../src/instances/instance-control.ts';
import { InstanceUsage } from '../../../src/instances/instance-usage.ts';
import type { Usage } from '../../../src/instances/usage.ts';

const USAGE: Usage = { atMs: 0, cpuTotalNs: 0, memoryUsedBytes: 7, memoryLimitBytes: 9, networkReceivedBytes: 0, networkSentBytes: 0, pids: 1 };

function report(containerId: string | null, state: InstanceReport['state'] = 'running'): InstanceReport {
  return { reference: 'a/b:c', image: 'x', digest: null, state, containerId, managed: true, startedAt: null, lastUsedAt: null, inFlight: 0, upstream: null, error: null, lastWake: null };
}

describe('InstanceUsage', () => {
  it('asks for the memory of all that has processes, not of all at once', async () => {
    let open = 0;
    let most = 0;
    const asked: string[] = [];
    const stats = async (id: string): Promise<Usage> => {
      asked.push(id);
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return USAGE;
    };
    const usage = new InstanceUsage({ backend: { stats }, memoryTimeoutMs: 10_000 });
    const running = Array.from({ length: 500 }, (_, index) => report(`c${index}`, index % 2 === 0 ? 'running' : 'paused'));
    const found = await usage.memory([...running, report('asleep', 'stopped'), report('failed', 'failed'), report(null, 'creating')]);
    expect([found.size, found.get('c0'), new Set(asked).size, asked.length]).toEqual([500, 7, 500, 500]);
    expect(most).toBeLessThanOrEqual(64);
  });

  it('gives what is known when the time is up', async () => {
    const never = new Promise<never>(() => undefined);
    const stats = (id: string, signal: AbortSignal): Promise<Usage | undefined> => {
      if (id === 'gone') return Promise.resolve(undefined);
      if (id !== 'slow') return Promise.resolve(USAGE);
      return Promise.race([never, new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))]);
    };
    const usage = new InstanceUsage({ backend: { stats }, memoryTimeoutMs: 50 });
    expect([...(await usage.memory([report('quick'), report('slow'), report('gone')])).keys()]).toEqual(['quick']);
  });

  it('measures how busy one is between two looks', async () => {
    const looks = [USAGE, { ...USAGE, atMs: 1_000, cpuTotalNs: 5e8 }];
    const usage = new InstanceUsage({ backend: { stats: () => Promise.resolve(looks.shift()) }, memoryTimeoutMs: 50 });
    const { signal } = new AbortController();
    expect(await usage.measure(report('c1'), signal)).toMatchObject({ cpuPercentOfCore: 50 });
    expect(await usage.measure(report('c1', 'stopped'), signal)).toBeUndefined();
    expect(await usage.measure(report(null), signal)).toBeUndefined();
  });
});
