import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_TABLE } from '../../../src/core/errors.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { RequestTally, REQUEST_BOUNDS_S } from '../../../src/core/request-tally.ts';
import { WakeTally, WAKE_ORIGINS } from '../../../src/core/wake-tally.ts';
import { MOVES } from '../../../src/instances/instance-status.ts';
import { stateCounts } from '../../../src/instances/state-counts.ts';

function make() {
  const requests = new RequestTally();
  const wakes = new WakeTally();
  const metrics = new Metrics({
    version: '1.2.3',
    requests,
    wakes,
    openRequests: () => 4,
    instances: () => stateCounts([{ status: { name: 'running' } }, { status: { name: 'running' } }, { status: { name: 'absent' } }]),
    queues: { pulls: { waiting: 1, running: 2 }, starts: { waiting: 0, running: 3 } },
    isEngineUp: () => true,
    engineCalls: () => 42,
  });
  return { requests, wakes, metrics };
}

/** Values by name and labels as they are written: `pipes_instances{state="running"}`. */
async function read(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

/** One of each kind, so that every series shows. */
function exerciseAll({ requests, wakes }: ReturnType<typeof make>): void {
  for (const method of ['GET', 'POST']) for (const status of [101, 200, 302, 404, 503, undefined]) requests.ended(method, false, status, 3, 10, 20);
  requests.ended('GET', true, 101, 5000, 1, 2);
  requests.failed('queue_full');
  for (const from of WAKE_ORIGINS) wakes.woken({ from, pullMs: 1, createMs: 2, startMs: 3, readyMs: 4, totalMs: 10 });
}

describe('Metrics', () => {
  it('counts requests by the class of their method and status, their time and their bytes', async () => {
    const { requests, metrics } = make();
    requests.ended('GET', false, 200, 3, 0, 100);
    requests.ended('HEAD', false, 204, 40, 0, 0);
    requests.ended('DELETE', false, 404, 3, 7, 1);
    requests.ended('GET', true, 101, 90_000, 5, 6);
    requests.ended('GET', false, undefined, 12, 0, 0);
    const values = await read(metrics);
    expect(values.get('pipes_requests_total{method="safe",code="2xx"}')).toBe(2);
    expect(values.get('pipes_requests_total{method="unsafe",code="4xx"}')).toBe(1);
    expect(values.get('pipes_requests_total{method="upgrade",code="1xx"}')).toBe(1);
    expect(values.get('pipes_requests_total{method="safe",code="aborted"}')).toBe(1);
    expect(values.get('pipes_received_bytes_total')).toBe(12);
    expect(values.get('pipes_sent_bytes_total')).toBe(107);
    const bucket = (le: string) => values.get(`pipes_request_duration_seconds_bucket{le="${le}",method="safe",code="2xx"}`);
    expect([bucket('0.001'), bucket('0.0025'), bucket('0.005'), bucket('0.025'), bucket('0.05'), bucket('60'), bucket('+Inf')]).toEqual([0, 0, 1, 1, 2, 2, 2]);
    expect(values.get('pipes_request_duration_seconds_sum{method="safe",code="2xx"}')).toBeCloseTo(0.043);
    expect(values.get('pipes_request_duration_seconds_count{method="safe",code="2xx"}')).toBe(2);
    // Longer than every bound is in the last bucket alone.
    expect(values.get('pipes_request_duration_seconds_bucket{le="60",method="upgrade",code="1xx"}')).toBe(0);
    expect(values.get('pipes_request_duration_seconds_bucket{le="+Inf",method="upgrade",code="1xx"}')).toBe(1);
  });

  it('shows every error code from the start, and counts them', async () => {
    const { requests, metrics } = make();
    requests.failed('image_not_found');
    requests.failed('image_not_found');
    const values = await read(metrics);
    for (const code of Object.keys(ERROR_TABLE)) expect([code, values.get(`pipes_failures_total{code="${code}"}`)]).toEqual([code, code === 'image_not_found' ? 2 : 0]);
  });

  it('counts wakes by what was woken, and of their parts those that were needed', async () => {
    const { wakes, metrics } = make();
    wakes.woken({ from: 'absent', pullMs: 210, createMs: 16, startMs: 225, readyMs: 3, totalMs: 454 });
    wakes.woken({ from: 'paused', pullMs: 0, createMs: 0, startMs: 8, readyMs: 1, totalMs: 16 });
    const values = await read(metrics);
    expect([values.get('pipes_wakes_total{from="absent"}'), values.get('pipes_wakes_total{from="stopped"}')]).toEqual([1, 0]);
    expect(values.get('pipes_wake_duration_seconds_sum{from="absent"}')).toBeCloseTo(0.454);
    expect(values.get('pipes_wake_part_duration_seconds_sum{from="absent",part="pull"}')).toBeCloseTo(0.21);
    expect(values.get('pipes_wake_part_duration_seconds_bucket{le="0.01",from="paused",part="start"}')).toBe(1);
    expect(values.has('pipes_wake_part_duration_seconds_count{from="paused",part="pull"}')).toBe(false);
  });

  it('reads the rest when it is asked', async () => {
    const values = await read(make().metrics);
    expect(values.get('pipes_open_requests')).toBe(4);
    expect([values.get('pipes_instances{state="running"}'), values.get('pipes_instances{state="paused"}'), values.has('pipes_instances{state="absent"}')]).toEqual([2, 0, false]);
    expect([values.get('pipes_queue_jobs{queue="pulls",state="waiting"}'), values.get('pipes_queue_jobs{queue="starts",state="running"}')]).toEqual([1, 3]);
    expect([values.get('pipes_engine_up'), values.get('pipes_engine_calls_total')]).toEqual([1, 42]);
    expect(values.get(`pipes_build_info{version="1.2.3",node="${process.version}"}`)).toBe(1);
    expect(values.get('pipes_process_start_time_seconds')).toBeCloseTo(performance.timeOrigin / 1000, 0);
    expect(values.get('pipes_process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(values.get('pipes_process_cpu_seconds_total{mode="user"}')).toBeGreaterThan(0);
  });

  it('counts on over several readings', async () => {
    const { requests, metrics } = make();
    requests.ended('GET', false, 200, 1, 0, 1);
    expect((await read(metrics)).get('pipes_sent_bytes_total')).toBe(1);
    requests.ended('GET', false, 200, 1, 0, 1);
    const values = await read(metrics);
    expect(values.get('pipes_sent_bytes_total')).toBe(2);
    expect(values.get('pipes_requests_total{method="safe",code="2xx"}')).toBe(2);
  });

  it('keeps to Prometheus\'s rules of naming, and to buckets that rise', async () => {
    const made = make();
    exerciseAll(made);
    const text = await made.metrics.render();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type: type! }));
    for (const { name, type } of types) {
      expect(name).toMatch(/^pipes_[a-z]+(?:_[a-z]+)*$/);
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      if (type === 'histogram') expect(name).toMatch(/_seconds$/);
      expect(name).not.toMatch(/_(?:ms|milliseconds|kb|mb|percent)\b/);
    }
    expect([...REQUEST_BOUNDS_S].sort((a, b) => a - b)).toEqual(REQUEST_BOUNDS_S);
    // The whole of it stays small: a few hundred lines, however many targets there are.
    expect(text.split('\n').length).toBeLessThan(800);
  });
});

describe('docs/metrics.md', () => {
  const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const cells = (line: string): string[] => line.split('|').slice(1, -1).map((cell) => cell.trim());
  const words = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);

  it('has each metric with its type and labels, and no other', async () => {
    const made = make();
    exerciseAll(made);
    const text = await made.metrics.render();
    const shown = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => {
      const samples = text.split('\n').filter((line) => new RegExp(`^${name}(?:_bucket|_sum|_count)?[{ ]`).test(line));
      const labels = new Set(samples.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label]) => label!)));
      labels.delete('le');
      return `${name} ${type} ${[...labels].sort().join(',')}`;
    });
    const documented = page.split('\n').filter((line) => line.startsWith('| `pipes_')).map(cells).map(([name, type, labels]) => `${words(name!)[0]} ${type} ${words(labels!).sort().join(',')}`);
    expect(documented).toEqual([...documented].filter((row, index) => documented.indexOf(row) === index));
    expect(documented.sort()).toEqual(shown.sort());
  });

  it('has each value of each label', async () => {
    const made = make();
    exerciseAll(made);
    const values = new Map<string, Set<string>>();
    for (const [, label, value] of (await made.metrics.render()).matchAll(/(\w+)="([^"]*)"/g)) values.set(label!, (values.get(label!) ?? new Set()).add(value!));
    for (const label of ['method', 'from', 'part', 'state', 'queue', 'mode']) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${label}\` |`))!;
      for (const value of values.get(label)!) expect(row).toContain(`\`${value}\``);
    }
    for (const state of Object.keys(MOVES)) if (state !== 'absent') expect(page).toContain(`\`${state}\``);
  });
});

describe('counting a request', () => {
  it('costs no more than numbers', () => {
    const { requests } = make();
    for (let count = 0; count < 20_000; count += 1) requests.ended('GET', false, 200, 3, 10, 20);
    const before = process.memoryUsage().heapUsed;
    const startedMs = performance.now();
    for (let count = 0; count < 200_000; count += 1) requests.ended('GET', false, 200, 3, 10, 20);
    const perRequestUs = ((performance.now() - startedMs) * 1000) / 200_000;
    // prom-client's own counters would take some 700 bytes and 0.5 µs each; this is for telling kinds of cost apart, not for benchmarks.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000 * 50);
    expect(perRequestUs).toBeLessThan(5);
  });
});
