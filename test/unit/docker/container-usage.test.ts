import { describe, expect, it } from 'vitest';
import { readUsage } from '../../../src/docker/container-usage.ts';
import { cpuPercentOfCore } from '../../../src/instances/usage.ts';

const read = '2026-01-02T03:04:05.678901234Z';
const stats = {
  read,
  cpu_stats: { cpu_usage: { total_usage: 42 } },
  memory_stats: { usage: 5000, limit: 9000, stats: { inactive_file: 1000 } },
  networks: { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 10, tx_bytes: 20 } },
  pids_stats: { current: 3 },
};

describe('readUsage', () => {
  it('reads what the engine tells, without the cache of files', () => {
    expect(readUsage(stats)).toEqual({ atMs: Date.parse(read), cpuTotalNs: 42, memoryUsedBytes: 4000, memoryLimitBytes: 9000, networkReceivedBytes: 11, networkSentBytes: 22, pids: 3 });
  });

  it('knows the names of both versions of control groups', () => {
    expect(readUsage({ ...stats, memory_stats: { usage: 5000, limit: 9000, stats: { total_inactive_file: 2000, inactive_file: 1 } } })?.memoryUsedBytes).toBe(3000);
  });

  it('tells no network where there is none of its own', () => {
    const { networks: _networks, ...rest } = stats;
    expect(readUsage(rest)).toMatchObject({ networkReceivedBytes: null, networkSentBytes: null });
  });

  it('tells nothing of one that does not run', () => {
    expect(readUsage({ read: '0001-01-01T00:00:00Z', cpu_stats: {}, memory_stats: {} })).toBeUndefined();
  });
});

describe('cpuPercentOfCore', () => {
  const usage = readUsage(stats)!;

  it('is 100 for one core all the time', () => {
    expect(cpuPercentOfCore(usage, { ...usage, atMs: usage.atMs + 1000, cpuTotalNs: usage.cpuTotalNs + 1e9 })).toBe(100);
    expect(cpuPercentOfCore(usage, { ...usage, atMs: usage.atMs + 500, cpuTotalNs: usage.cpuTotalNs + 1.25e9 })).toBe(250);
  });

  it('is never below nothing, nor of no time', () => {
    expect(cpuPercentOfCore(usage, usage)).toBe(0);
    expect(cpuPercentOfCore(usage, { ...usage, atMs: usage.atMs + 10, cpuTotalNs: 0 })).toBe(0);
  });
});
