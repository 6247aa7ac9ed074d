import { silentLog } from '../../../src/core/log.ts';
import { RequestTally } from '../../../src/core/request-tally.ts';
import { Run } from '../../../src/instances/run.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { Forwarder } from '../../../src/proxy/forwarder.ts';
import { HostCache } from '../../../src/proxy/host-cache.ts';
import { ProxyServer } from '../../../src/proxy/proxy-server.ts';
import { QuietRules } from '../../../src/proxy/quiet.ts';
import type { Waker } from '../../../src/proxy/waker.ts';
import { routeTable } from '../../fakes/memory-domains.ts';
import { ALL_PUBLIC, OPEN_DOOR } from '../../fakes/open-door.ts';
import type { Lane } from '../../lab/http-lane.ts';
import type { LaneOptions } from '../../lab/http-cases/http-case.ts';

/** The way of every request: the real server, dispatcher and forwarder, in front of an app that always runs. */
export async function startNodeLane(upstream: { host: string; port: number }, options: LaneOptions): Promise<Lane> {
  const isTrusted = (): boolean => options.isTrusting === true;
  const forwarder = new Forwarder({
    connectTimeoutMs: 2_000,
    upstreamTimeoutMs: options.upstreamTimeoutMs ?? Infinity,
    bodyIdleTimeoutMs: options.bodyIdleTimeoutMs ?? 30_000,
    trustProxy: isTrusted,
    isOwnToken: (authorization) => authorization.startsWith('Bearer pipes_'),
  });
  const dispatcher = new Dispatcher({
    hosts: new HostCache(routeTable(), ALL_PUBLIC),
    door: OPEN_DOOR,
    waker: wakerOf(upstream),
    forwarder,
    local: { request: (_request, response) => response.end('pipes itself'), upgrade: (_request, socket) => socket.end() },
    log: silentLog,
    tally: new RequestTally(),
    isTrusted,
    holdTimeoutMs: 2_000,
    refusedGraceMs: 50,
    pageAfterMs: 60_000,
    quiet: new QuietRules('default'),
  });
  const server = new ProxyServer({ bind: '127.0.0.1', port: 0, dispatcher, log: silentLog, headerTimeoutMs: options.headerTimeoutMs ?? 30_000, shutdownTimeoutMs: 0 });
  const port = await server.start();
  return {
    port,
    stop: async () => {
      await server.stop();
      forwarder.close();
    },
  };
}

/** One run that never ends. */
function wakerOf(upstream: { host: string; port: number }): Waker {
  const observed = { id: 'a', state: 'running', managed: true, upstream, imageId: 'i', imageDigest: undefined, configHash: undefined, startedAt: undefined };
  const run = new Run(observed as unknown as ConstructorParameters<typeof Run>[0], Date.now);
  return {
    tryLease: () => run.acquire(),
    lease: () => Promise.resolve(run.acquire()),
    distrust: () => undefined,
    isEngineUp: true,
    isUp: () => true,
    assertMayRun: () => undefined,
    waitMode: () => 'hold',
    watch: () => () => undefined,
  };
}
