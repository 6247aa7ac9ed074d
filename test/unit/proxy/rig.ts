import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, createServer as createNetServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import type { ForwardEnd } from '../../../src/proxy/forward.ts';
import { newForwardStats, type ForwardStats } from '../../../src/proxy/forward-context.ts';
import { Forwarder, type ForwarderOptions } from '../../../src/proxy/forwarder.ts';
import { sendError, sendErrorOnSocket } from '../../../src/proxy/pages.ts';
import { serveWithoutUpgrade, mustServeWithoutUpgrade } from '../../../src/proxy/declined-upgrade.ts';
import type { Upstream } from '../../../src/instances/upstream.ts';

export const OPEN_OPTIONS: ForwarderOptions = {
  connectTimeoutMs: 2000,
  upstreamTimeoutMs: Infinity,
  bodyIdleTimeoutMs: Infinity,
  trustProxy: () => false,
  isOwnToken: (authorization) => authorization.startsWith('Bearer pipes_'),
};

/** A real server whose every request goes through a real forwarder to a small upstream of the test's own. */
export class Rig {
  readonly forwarder: Forwarder;
  readonly front: Server;
  readonly back: NetServer;
  readonly upstream: Upstream;
  readonly frontPort: number;
  /** Every connection that the upstream took, in order. */
  readonly backSockets: Socket[] = [];
  readonly #ends: { end: ForwardEnd; stats: ForwardStats }[] = [];
  readonly #clients: RawClient[] = [];
  #wanted: (() => void)[] = [];

  private constructor(forwarder: Forwarder, front: Server, back: NetServer, mayRetry: boolean) {
    this.forwarder = forwarder;
    this.front = front;
    this.back = back;
    this.upstream = { host: '127.0.0.1', port: (back.address() as AddressInfo).port };
    this.frontPort = (front.address() as AddressInfo).port;
    back.on('connection', (socket: Socket) => {
      this.backSockets.push(socket);
      socket.on('error', () => undefined);
    });
    const ended = (end: ForwardEnd, stats: ForwardStats): void => {
      this.#ends.push({ end, stats });
      for (const wake of this.#wanted.splice(0)) wake();
    };
    const request: RequestListener = (incoming, response) => {
      const stats = newForwardStats();
      void forwarder.request(incoming, response, this.upstream, { requestId: 'id-1', mayRetry, stats }).then((end) => {
        if (end.kind === 'failed') sendError(incoming, response, end.error);
        ended(end, stats);
      });
    };
    front.on('request', request);
    front.on('checkContinue', request);
    front.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => undefined);
      if (mustServeWithoutUpgrade(incoming)) return serveWithoutUpgrade(front, incoming, socket, head);
      const stats = newForwardStats();
      void forwarder.upgrade(incoming, socket, head, this.upstream, { requestId: 'id-1', mayRetry, stats }).then((end) => {
        if (end.kind === 'failed') sendErrorOnSocket(incoming, socket, end.error);
        ended(end, stats);
      });
    });
  }

  static async start(back: NetServer, options: Partial<ForwarderOptions> & { mayRetry?: boolean } = {}): Promise<Rig> {
    const front = createServer({ requireHostHeader: false, keepAliveTimeout: 60_000, requestTimeout: 0 });
    await Promise.all([front, back].map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
    return new Rig(new Forwarder({ ...OPEN_OPTIONS, ...options }), front, back, options.mayRetry ?? true);
  }

  /** An upstream that is a function of its bare connection. */
  static raw(serve: (socket: Socket) => void, options: Partial<ForwarderOptions> & { mayRetry?: boolean } = {}): Promise<Rig> {
    return Rig.start(createNetServer({ allowHalfOpen: true }, serve), options);
  }

  /** An upstream that waits for the end of a request's head, then says exactly this; the connection stays open. */
  static says(answer: string, options: Partial<ForwarderOptions> = {}): Promise<Rig> {
    return Rig.raw((socket) => {
      let seen = '';
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1');
        if (!seen.includes('\r\n\r\n')) return;
        seen = '';
        socket.write(answer, 'latin1');
      });
    }, options);
  }

  static http(listener: RequestListener, options: Partial<ForwarderOptions> = {}): Promise<Rig> {
    return Rig.start(createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, listener), options);
  }

  /** The n-th ending, waited for if it has not come. */
  async end(index = 0): Promise<{ end: ForwardEnd; stats: ForwardStats }> {
    while (this.#ends.length <= index) await new Promise<void>((resolve) => this.#wanted.push(resolve));
    return this.#ends[index]!;
  }

  get endCount(): number {
    return this.#ends.length;
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.connect(this.frontPort);
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    this.forwarder.close();
    for (const socket of this.backSockets) socket.destroy();
    if ('closeAllConnections' in this.back) (this.back as Server).closeAllConnections();
    this.front.closeAllConnections();
    await Promise.all([this.front, this.back].map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** A client that sends exactly the bytes it is told and keeps exactly those that came. */
export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  /** Whether the other side ended cleanly (`end`) or reset (`reset`); undefined while it is open. */
  ending: 'end' | 'reset' | undefined;
  #wanted: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    const changed = (): void => {
      for (const wake of this.#wanted.splice(0)) wake();
    };
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      changed();
    });
    socket.on('end', () => {
      this.ending ??= 'end';
      changed();
    });
    socket.on('error', () => {
      this.ending = 'reset';
      changed();
    });
    socket.on('close', changed);
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RawClient(socket));
      });
    });
  }

  get text(): string {
    return this.#received.toString('latin1');
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    return this;
  }

  /** Everything received, as soon as it contains this or matches it. Fails when the connection ends first. */
  async until(what: string | RegExp): Promise<string> {
    for (;;) {
      if (typeof what === 'string' ? this.text.includes(what) : what.test(this.text)) return this.text;
      if (this.ending) throw new Error(`the connection ended (${this.ending}) before ${String(what)}; received: ${JSON.stringify(this.text)}`);
      await this.#change();
    }
  }

  /** How the other side ended, and everything received by then. */
  async untilEnd(): Promise<{ ending: 'end' | 'reset'; text: string }> {
    while (!this.ending) await this.#change();
    return { ending: this.ending, text: this.text };
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wanted.push(resolve));
  }
}

/** The head that an upstream received, as lines without the last empty one. */
export function headLines(text: string): string[] {
  return text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
}

/** The one value of a header in a head; undefined when it is not there. */
export function header(text: string, name: string): string | undefined {
  const line = headLines(text).find((entry) => entry.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line?.slice(name.length + 1).trim();
}

/** Collects what comes on a connection; resolves each time with all of it once it matches. */
export function listen(socket: Socket): { until(what: string | RegExp): Promise<string>; ended: Promise<void>; text(): string } {
  let text = '';
  let wanted: (() => void)[] = [];
  const wake = (): void => {
    for (const each of wanted.splice(0)) each();
    wanted = [];
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  const ended = new Promise<void>((resolve) => {
    socket.on('end', () => resolve());
    socket.on('close', () => resolve());
  });
  return {
    ended,
    text: () => text,
    async until(what) {
      while (!(typeof what === 'string' ? text.includes(what) : what.test(text))) await new Promise<void>((resolve) => wanted.push(resolve));
      return text;
    },
  };
}
