import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
// The one home of http-proxy: docs/decisions/0001-http-proxy.md says what it does here, and what it does not.
import { ProxyServer } from 'http-proxy';
import type { Upstream } from '../instances/upstream.ts';
import type { ForwardContext } from './forward-context.ts';
import type { ForwardEnd } from './forward.ts';
import { forwardedHeaders } from './forwarded-headers.ts';
import { RequestRelay, type RelayTimeouts } from './relay-request.ts';
import { UpgradeRelay, type UpgradeStub } from './relay-upgrade.ts';
import { UpstreamAgent } from './upstream-agent.ts';

export interface ForwarderOptions extends RelayTimeouts {
  /** How long an upstream may take to accept a connection; Infinity for as long as the system waits. */
  readonly connectTimeoutMs: number;
  /** Whether this peer is a proxy of ours whose forwarding fields are believed (`TRUST_PROXY`). */
  readonly trustProxy: (address: string) => boolean;
  /** Whether the value of an `Authorization` carries a token of pipes itself. */
  readonly isOwnToken: (authorization: string) => boolean;
}

/**
 * Forwards requests and upgrades to upstreams, unchanged but for what INTERFACE section 3 adds and removes.
 *
 * A warm request costs no look-up, disk access or timer here (timers come with `upstreamTimeoutMs` and with bodies that are
 * not there yet). Nothing is thrown: how it ended is the result. Requests with `Expect: 100-continue` are to be handed to `request` too
 * (Node's `checkContinue` event), so that the client hears `100` from the upstream and from nobody else.
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #agents = new Map<Upstream, UpstreamAgent>();
  readonly #upgradeAgent: UpstreamAgent;
  readonly #proxy: ProxyServer;
  #isClosed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#upgradeAgent = new UpstreamAgent({ connectTimeoutMs: options.connectTimeoutMs, isPooled: false });
    this.#proxy = makeUpgradeProxy(this.#upgradeAgent);
  }

  request(request: IncomingMessage, response: ServerResponse, upstream: Upstream, context: ForwardContext): Promise<ForwardEnd> {
    const headers = this.#headers(request, context, false);
    return new RequestRelay(request, response, upstream, this.#agentOf(upstream), headers, context, this.#options).run();
  }

  /**
   * @param duplex the connection of an `upgrade` event, not read from since
   * @param head what the event came with
   */
  upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer, upstream: Upstream, context: ForwardContext): Promise<ForwardEnd> {
    // Node types the event's connection as any Duplex; its own server hands out sockets.
    const socket = duplex as unknown as Socket;
    const headers = this.#headers(request, context, true);
    return new UpgradeRelay(request, socket, head, upstream, headers, context, this.#options, (stub, client, whenUpstreamFails) => {
      const target = { host: upstream.host, hostname: upstream.host, port: upstream.port, protocol: 'http:' };
      this.#proxy.ws(stub as unknown as IncomingMessage, client, NO_BYTES, { target }, whenUpstreamFails);
    }).run();
  }

  /** The upstream is gone or about to be: its idle connections close now, busy ones with their request. */
  release(upstream: Upstream): void {
    this.#agents.get(upstream)?.release();
    this.#agents.delete(upstream);
  }

  /** Closes what is idle and keeps nothing from now on. Requests in flight go on. */
  close(): void {
    this.#isClosed = true;
    for (const agent of this.#agents.values()) agent.release();
    this.#agents.clear();
  }

  #agentOf(upstream: Upstream): UpstreamAgent {
    const known = this.#agents.get(upstream);
    if (known) return known;
    const agent: UpstreamAgent = new UpstreamAgent({ connectTimeoutMs: this.#options.connectTimeoutMs, isPooled: true, whenUnused: () => this.#forget(upstream, agent) });
    if (this.#isClosed) agent.release();
    else this.#agents.set(upstream, agent);
    return agent;
  }

  #forget(upstream: Upstream, agent: UpstreamAgent): void {
    if (this.#agents.get(upstream) === agent) this.#agents.delete(upstream);
  }

  #headers(request: IncomingMessage, context: ForwardContext, isUpgrade: boolean): string[] {
    return forwardedHeaders(request, {
      requestId: context.requestId,
      isPeerTrusted: this.#options.trustProxy(request.socket.remoteAddress ?? ''),
      isOwnToken: this.#options.isOwnToken,
      isUpgrade,
      entry: context.entry,
    });
  }
}

const NO_BYTES = Buffer.alloc(0);

function makeUpgradeProxy(agent: UpstreamAgent): ProxyServer {
  const proxy = new ProxyServer({ agent, prependPath: false });
  // Its check for GET and `websocket` would cut every other protocol without a word.
  dropPass(proxy, 'checkMethodAndHeader');
  // Each relay watches its own sockets; without a listener http-proxy would throw.
  proxy.on('error', () => undefined);
  proxy.on('proxyReqWs', (outgoing, stub) => (stub as unknown as UpgradeStub).relay.prepare(outgoing));
  return proxy;
}

function dropPass(proxy: ProxyServer, name: string): void {
  const passes = (proxy as unknown as { wsPasses: { name: string }[] }).wsPasses;
  const at = passes.findIndex((pass) => pass.name === name);
  if (at >= 0) passes.splice(at, 1);
}
