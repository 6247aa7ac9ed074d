import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { newForwardStats } from '../../../src/proxy/forward-context.ts';
import { Forwarder } from '../../../src/proxy/forwarder.ts';

/**
 * A forwarding server alone in its process. Argument: the upstream's port. Prints its own port, then forwards until its input
 * closes, and then prints its highest memory use and the stats of each request as JSON.
 */
const upstream = { host: '127.0.0.1', port: Number(process.argv[2]) };
const forwarder = new Forwarder({ connectTimeoutMs: 5000, upstreamTimeoutMs: Infinity, bodyIdleTimeoutMs: 60_000, trustProxy: () => false, isOwnToken: () => false });
const all: unknown[] = [];
const front = createServer({ requestTimeout: 0 }, (incoming, response) => {
  const stats = newForwardStats();
  all.push(stats);
  void forwarder.request(incoming, response, upstream, { requestId: 'r', mayRetry: true, stats });
});

front.listen(0, '127.0.0.1', () => process.stdout.write(`${(front.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => {
  process.stdout.write(`${JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024, stats: all })}\n`, () => process.exit(0));
});
