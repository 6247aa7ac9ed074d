import fc from 'fast-check';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RequestTally } from '../../src/core/request-tally.ts';
import { silentLog } from '../../src/core/log.ts';
import { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { Forwarder } from '../../src/proxy/forwarder.ts';
import { HostCache } from '../../src/proxy/host-cache.ts';
import { ProxyServer } from '../../src/proxy/proxy-server.ts';
import { QuietRules } from '../../src/proxy/quiet.ts';
import { parseReference } from '../../src/targets/reference.ts';
import { ALL_PUBLIC, OPEN_DOOR } from '../fakes/open-door.ts';
import { FakeBackend } from '../fakes/fake-backend.ts';
import { makeTable } from '../fakes/table-bench.ts';
import { routeTable } from '../fakes/memory-domains.ts';
import { until } from '../lab/until.ts';

/**
 * Random interleavings of requests with everything that can happen to a target: its idle times running out, stops and changes
 * by operators, deaths and removals behind pipes' back, the engine going away and coming back with or without its containers.
 * Real sockets from the client to the containers' servers; only the engine is a fake (held to Docker's contract).
 *
 * What must hold (issue 3, point 3): every request gets an answer from a live container or a typed error, and never a reset
 * unless something outside killed the container after the request was on its way; never two containers of a target
 * run but while one replaces the other; no container is left over; and in the end the target serves.
 *
 * RUNS=1000 makes it long.
 */
const RUNS = Number(process.env['RUNS'] ?? 40);

type Step =
  | { readonly do: 'request'; readonly ms: number }
  | { readonly do: 'post' }
  | { readonly do: 'kill' | 'crash' | 'rm' | 'restart by hand' | 'pause by hand' | 'stop' | 'start' | 'remove' | 'restart' | 'configure' | 'configure a volume' | 'configure badly' | 'lose' | 'restore' | 'restore restarted' };

const step: fc.Arbitrary<{ readonly afterMs: number; readonly step: Step }> = fc.record({
  afterMs: fc.constantFrom(0, 0, 1, 2, 5, 12, 30),
  step: fc.oneof(
    { weight: 10, arbitrary: fc.record({ do: fc.constant('request' as const), ms: fc.constantFrom(0, 0, 3, 15, 40) }) },
    { weight: 2, arbitrary: fc.constant({ do: 'post' as const }) },
    { weight: 12, arbitrary: fc.constantFrom('kill', 'crash', 'rm', 'restart by hand', 'pause by hand', 'stop', 'start', 'remove', 'restart', 'configure', 'configure a volume', 'configure badly', 'lose', 'restore', 'restore restarted').map((name) => ({ do: name })) },
  ),
});

const KEY = 'alice/web:main';
const WEB = parseReference(KEY);

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type: string;
}

describe('requests and everything that can happen', () => {
  it(
    'interleave without a lost request or a container left over',
    async () => {
      await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 30 }), fc.integer({ min: 0, max: 3 }), run), { numRuns: RUNS, endOnFailure: true });
    },
    RUNS * 3_000 + 30_000,
  );
});

async function run(steps: readonly { readonly afterMs: number; readonly step: Step }[], latencyMs: number): Promise<void> {
  const world = await makeWorld(latencyMs);
  const { backend, table, configs } = world;
  const answers: Promise<unknown>[] = [];
  const operations: Promise<unknown>[] = [];
  const one = (): string => backend.ids(KEY).at(-1) ?? '';
  const operate = (operation: Promise<unknown>): void => {
    operations.push(operation.catch(() => undefined));
  };
  let count = 0;
  try {
    for (const { afterMs, step: { ...what } } of steps) {
      await delay(afterMs);
      if (what.do === 'request') answers.push(world.expectAnswer('GET', what.ms).catch((wrong: unknown) => wrong));
      else if (what.do === 'post') answers.push(world.expectAnswer('POST', 2).catch((wrong: unknown) => wrong));
      else if (what.do === 'kill') world.harm(() => backend.kill(one()));
      else if (what.do === 'crash') world.harm(() => backend.crash(one()));
      else if (what.do === 'rm') world.harm(() => backend.removeByHand(one()));
      else if (what.do === 'restart by hand') world.harm(() => operate(backend.restartByHand(one())));
      else if (what.do === 'pause by hand') backend.pauseByHand(one());
      else if (what.do === 'stop') operate(table.stop(WEB));
      else if (what.do === 'start') operate(table.start(WEB));
      else if (what.do === 'remove') operate(table.remove(WEB));
      else if (what.do === 'restart') operate(table.restart(WEB));
      else if (what.do === 'lose') backend.lose();
      else if (what.do === 'restore') backend.restore(false);
      else if (what.do === 'restore restarted') world.harm(() => backend.restore(true));
      else {
        count += 1;
        const volumes = what.do === 'configure a volume' ? { volumes: ['data:/data'] } : {};
        const behaviour: Record<string, string> = what.do === 'configure badly' ? { BEHAVIOUR: 'exits' } : {};
        configs.containers.set(KEY, { ...volumes, env: { COUNT: String(count), ...behaviour } });
        operate(table.reconfigure(WEB));
      }
    }
    if (!backend.isUp) backend.restore(false);
    await Promise.all(operations);
    for (const wrong of await Promise.all(answers)) if (wrong !== undefined) throw wrong as Error;
    const mayOverlap = steps.some(({ step: { do: name } }) => name.startsWith('configure') || name === 'restart');
    if (!mayOverlap) expect(backend.mostAtOnce).toBeLessThanOrEqual(1);
    configs.containers.set(KEY, {});
    await table.reconfigure(WEB).catch(() => undefined);
    // What is there serves in the end, and it is alone.
    expect(await world.ask('GET', 0)).toMatchObject({ status: 200 });
    await table.reconcile();
    await until('what was replaced is gone', () => backend.ids(KEY).length === 1, 5_000);
    expect(table.report(WEB).inFlight).toBe(0);
    expect(world.complaints.filter((line) => line.includes('no life makes'))).toEqual([]);
  } finally {
    await world.close();
  }
}

async function makeWorld(latencyMs: number) {
  const backend = new FakeBackend();
  backend.latencyMs = latencyMs;
  // Idle times so short that they run out between the steps.
  const bench = makeTable({ backend, drainTimeoutMs: 200, roomTimeoutMs: 500, defaults: { startTimeoutMs: 2_000, idle: { pauseMs: 15, stopMs: 45, removeMs: 120 } } });
  const { table } = bench;
  const forwarder = new Forwarder({ connectTimeoutMs: 1_000, upstreamTimeoutMs: Infinity, bodyIdleTimeoutMs: 5_000, trustProxy: () => false, isOwnToken: () => false });
  const dispatcher = new Dispatcher({
    tally: new RequestTally(),
    hosts: new HostCache(routeTable(), ALL_PUBLIC),
    door: OPEN_DOOR,
    waker: table,
    forwarder,
    local: { request: (_request, response) => response.end(), upgrade: (_request, socket) => socket.end() },
    log: silentLog,
    isTrusted: () => false,
    holdTimeoutMs: 10_000,
    refusedGraceMs: 500,
    pageAfterMs: 1_500,
    quiet: new QuietRules('off'),
  });
  const server = new ProxyServer({ bind: '127.0.0.1', port: 0, dispatcher, log: silentLog, headerTimeoutMs: 5_000, shutdownTimeoutMs: 1_000 });
  await table.open();
  const port = await server.start();
  const agent = new Agent({ keepAlive: true });
  let harms = 0;

  const ask = (method: string, ms: number): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, method, path: `/?ms=${ms}`, agent, headers: { Host: 'main.web.alice.localhost', ...(method === 'POST' ? { 'Content-Length': '5' } : {}) } });
      sent.on('error', reject);
      sent.on('response', (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text: string) => (body += text));
        answer.on('end', () => resolve({ status: answer.statusCode!, body, type: answer.headers['content-type'] ?? '' }));
        answer.on('error', reject);
      });
      sent.end(method === 'POST' ? 'hello' : undefined);
    });

  return {
    backend,
    table,
    configs: bench.configs,
    complaints: bench.complaints,
    ask,
    harm: (harm: () => void): void => {
      harms += 1;
      harm();
    },
    async expectAnswer(method: string, ms: number): Promise<void> {
      const harmsBefore = harms;
      const answer = await ask(method, ms).catch((error: unknown) => error as Error);
      if (answer instanceof Error) {
        expect(harms, `the request was cut (${answer.message}) and nothing outside did it`).toBeGreaterThan(harmsBefore);
        return;
      }
      if (answer.status === 200) {
        expect(answer.body).toMatch(/^c\d+$/);
        return;
      }
      expect(answer.type).toBe('application/problem+json');
      const { code } = JSON.parse(answer.body) as { code: string };
      expect(['engine_unavailable', 'instance_failed', 'queue_full', 'instance_not_ready', 'upstream_failed', 'upstream_unreachable']).toContain(code);
      // Only a death from outside under the request may show as a failure of the upstream.
      if (code.startsWith('upstream_')) expect(harms, `${method}: ${answer.body}`).toBeGreaterThan(0);
    },
    async close(): Promise<void> {
      agent.destroy();
      await server.stop();
      forwarder.close();
      await bench.close();
    },
  };
}
