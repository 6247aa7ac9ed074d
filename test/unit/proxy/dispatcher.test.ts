import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/core/log.ts';
import { RequestTally } from '../../../src/core/request-tally.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { Forwarder } from '../../../src/proxy/forwarder.ts';
import { HostCache } from '../../../src/proxy/host-cache.ts';
import { ProxyServer } from '../../../src/proxy/proxy-server.ts';
import { QuietRules } from '../../../src/proxy/quiet.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import type { TargetConfig } from '../../../src/targets/target-config.ts';
import { ALL_PUBLIC, OPEN_DOOR } from '../../fakes/open-door.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { routeTable } from '../../fakes/memory-domains.ts';
import { request, type Answer } from '../../lab/http-client.ts';
import { until } from '../../lab/until.ts';
import { OPEN_OPTIONS } from './rig.ts';

const PAGE_AFTER_MS = 40;
/** How long each call to the engine takes, where a wake is to outlast that. */
const SLOW_MS = 60;
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
const KEY = 'alice/web:main';

let bench: TableBench;
let server: ProxyServer;
let dispatcher: Dispatcher;
let port: number;

beforeEach(async () => {
  bench = makeTable();
  dispatcher = new Dispatcher({
    tally: new RequestTally(),
    hosts: new HostCache(routeTable(), ALL_PUBLIC),
    door: OPEN_DOOR,
    waker: bench.table,
    forwarder: new Forwarder(OPEN_OPTIONS),
    local: { request: (_request, response) => response.end('local'), upgrade: (_request, socket) => socket.end() },
    log: silentLog,
    isTrusted: () => false,
    holdTimeoutMs: 10_000,
    refusedGraceMs: 500,
    pageAfterMs: PAGE_AFTER_MS,
    quiet: new QuietRules('default'),
  });
  server = new ProxyServer({ bind: '127.0.0.1', port: 0, dispatcher, log: silentLog, headerTimeoutMs: 5_000, shutdownTimeoutMs: 1_000 });
  await bench.table.open();
  port = await server.start();
});
afterEach(async () => {
  await server.stop();
  await bench.close();
});

const visit = (headers: Record<string, string> = {}, more: { method?: string; host?: string; path?: string } = {}): Promise<Answer> =>
  request(port, { host: 'main.web.alice.localhost', headers, ...more });
const configure = (config: TargetConfig, key = KEY): unknown => bench.configs.containers.set(key, config);
const isServing = (key = KEY): boolean => bench.table.report(parseReference(key)).state === 'running';

describe('a page load that has to wait', () => {
  it('gets the waiting page once it has waited so long, while the wake goes on', async () => {
    bench.backend.latencyMs = SLOW_MS;
    const answer = await visit(BROWSER);
    expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([503, 'text/html; charset=utf-8', 'no-store']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.text).toContain(KEY);
    expect(isServing()).toBe(false);
    await until('it serves', () => isServing());
    expect(bench.table.report(parseReference(KEY)).inFlight).toBe(0);
    expect((await visit(BROWSER)).status).toBe(200);
  });

  it('gets the app where that is there soon enough', async () => {
    expect((await visit(BROWSER)).status).toBe(200);
  });

  it('leaves a wake that follows the tag to where it is written in another case', async () => {
    bench.images.trueTags.set('docker.io/alice/web:release', 'Release');
    configure({ wait: 'page' }, 'alice/web:release');
    bench.backend.latencyMs = SLOW_MS;
    expect((await visit(BROWSER, { host: 'release.web.alice.localhost' })).status).toBe(503);
    await until('the tag that is meant serves', () => isServing('alice/web:Release'));
  });

  it.each([
    ['page', 503],
    ['hold', 200],
    ['auto', 503],
  ] as const)('is treated as its configuration says (%s)', async (wait, status) => {
    configure({ wait });
    bench.backend.latencyMs = SLOW_MS;
    expect((await visit(BROWSER)).status).toBe(status);
    await until('it serves', () => isServing());
  });

  it('is not kept from an app that only has to be looked at', async () => {
    await visit();
    configure({ wait: 'page' });
    bench.backend.latencyMs = PAGE_AFTER_MS / 4;
    bench.table.distrust(bench.table.tryLease(KEY)!);
    expect((await visit(BROWSER)).status).toBe(200);
  });
});

describe('anything else that has to wait is held', () => {
  it.each<[string, Record<string, string>, string]>([
    ['curl', { accept: '*/*' }, 'GET'],
    ['a client that says nothing', {}, 'GET'],
    ['a client that wants JSON', { accept: 'application/json' }, 'GET'],
    ['HEAD', BROWSER, 'HEAD'],
    ['POST', BROWSER, 'POST'],
    ['fetch()', { ...BROWSER, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }, 'GET'],
    ['an image', { ...BROWSER, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 'GET'],
    ['XMLHttpRequest', { ...BROWSER, 'x-requested-with': 'XMLHttpRequest' }, 'GET'],
  ])('%s', async (_name, headers, method) => {
    configure({ wait: 'page' });
    bench.backend.latencyMs = SLOW_MS;
    expect((await visit(headers, { method })).status).toBe(200);
  });
});

describe('a wake that fails before the page was shown', () => {
  beforeEach(() => configure({ env: { BEHAVIOUR: 'exits' } }));

  it('is a page that tries again for who loads a page, with the status of the error', async () => {
    const answer = await visit(BROWSER);
    expect([answer.status, answer.headers['content-type'], answer.headers['retry-after']]).toEqual([502, 'text/html; charset=utf-8', '2']);
    expect(answer.headers['content-security-policy']).toContain('script-src');
  });

  it('is a problem document for a program', async () => {
    expect((await visit()).json()).toMatchObject({ status: 502, code: 'instance_failed' });
  });

  it('is the plain error page where the target holds', async () => {
    configure({ wait: 'hold', env: { BEHAVIOUR: 'exits' } });
    const answer = await visit(BROWSER);
    expect([answer.status, answer.text.includes('instance_failed'), answer.text.includes('<script')]).toEqual([502, true, false]);
  });
});

describe('a quiet request', () => {
  const BOT = { 'user-agent': 'Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)' };

  it.each([
    ['from a health check', BOT, '/'],
    ['for the icon', BROWSER, '/favicon.ico?v=2'],
  ])('%s wakes nothing', async (_name, headers, path) => {
    const answer = await visit({ ...headers, accept: '*/*' }, { path });
    expect(answer.json()).toMatchObject({ status: 503, code: 'target_asleep' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(bench.backend.calls).not.toContain('create');
    expect(bench.table.reports()).toEqual([]);
  });

  it('is forwarded to what runs, also when that has to be looked at first, and does not count as use', async () => {
    await visit();
    const run = bench.table.tryLease(KEY)!;
    run.release();
    run.lastUsedAtMs = 1_000;
    expect((await visit(BOT)).status).toBe(200);
    bench.table.distrust(run);
    expect((await visit(BOT)).status).toBe(200);
    await until('it is over', () => run.inFlight === 0);
    expect(run.lastUsedAtMs).toBe(1_000);
  });
});

describe('requests that are refused at once', () => {
  it('leave no timer behind', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    await visit({ 'user-agent': 'kube-probe/1.30' });
    await until('it is over', () => dispatcher.open === 0);
    const before = timers();
    for (let at = 0; at < 30; at += 1) {
      await visit({ 'user-agent': 'kube-probe/1.30' });
      expect((await visit(BROWSER, { host: 'web.forbidden.localhost' })).status).toBe(403);
    }
    expect(timers() - before).toBeLessThan(10);
  });
});

describe('the events of a wake', () => {
  it('are pipes\' own, from wherever they are asked for, and wake nothing', async () => {
    const answer = await visit({ 'sec-fetch-site': 'cross-site', accept: 'text/event-stream' }, { path: '/__proxyapi/wake', method: 'HEAD' });
    expect(answer.text).not.toBe('local');
    expect(bench.table.reports()).toEqual([]);
  });

  it('tell nothing of a target that may not run', async () => {
    const answer = await visit({}, { path: '/__proxyapi/wake', host: 'web.forbidden.localhost' });
    expect(answer.json()).toMatchObject({ status: 403, code: 'image_forbidden' });
  });
});
