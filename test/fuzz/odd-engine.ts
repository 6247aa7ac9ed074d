import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is done to one answer: other bytes, in pieces, and how the connection ends. */
export interface Twist {
  /** Of the sane answer's body; undefined leaves it. */
  readonly body?: ((sane: unknown) => Buffer) | undefined;
  readonly status?: number | undefined;
  readonly headers?: readonly string[];
  /** Of the whole answer, head and all. */
  readonly bytes?: ((whole: Buffer) => Buffer[]) | undefined;
  readonly isReset?: boolean;
}

/**
 * An engine of one container, whose answers can be twisted: the faults of an engine cannot be had from a real one. Says what Docker 24
 * says, as far as pipes reads it.
 */
export class OddEngine {
  readonly path: string;
  /** Twists the answer to a request (`GET /containers/json`); undefined: a sane one. */
  twist: ((request: string) => Twist | undefined) | undefined;
  /** Where the container's published port leads. */
  appPort = 1;
  readonly asked: string[] = [];
  readonly #directory: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #listeners = new Set<Socket>();

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'pipes-odd-engine-'));
    this.path = join(this.#directory, 'docker.sock');
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        this.#listeners.delete(socket);
      });
      socket.once('data', (chunk) => void this.#answer(socket, chunk.toString().split('\r\n', 1)[0]!));
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Says these bytes to all who follow its events; null ends the streams. */
  async tell(chunks: readonly Buffer[] | null): Promise<void> {
    for (const socket of this.#listeners) {
      if (chunks === null) socket.destroy();
      else for (const chunk of chunks) if (!socket.destroyed && chunk.length > 0) await new Promise((resolve) => socket.write(chunked(chunk), resolve));
    }
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    const [method = '', target = ''] = line.split(' ');
    const request = `${method} ${target.replace(/^\/v[\d.]+/, '').replace(/\?.*/, '')}`;
    this.asked.push(request);
    const twist = this.twist?.(request);
    if (request === 'GET /events' && !twist) {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      this.#listeners.add(socket);
      return;
    }
    const [status, document] = this.#sane(request, target);
    const body = twist?.body?.(document) ?? (Buffer.isBuffer(document) ? document : Buffer.from(document === undefined ? '' : JSON.stringify(document)));
    const head = `HTTP/1.1 ${twist?.status ?? status} X\r\n${(twist?.headers ?? []).map((text) => `${text}\r\n`).join('')}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    const whole = Buffer.concat([Buffer.from(head), body]);
    for (const piece of twist?.bytes?.(whole) ?? [whole]) if (piece.length > 0) await new Promise((resolve) => socket.write(piece, resolve));
    if (twist?.isReset === true) socket.destroy();
    else socket.end();
  }

  #sane(request: string, target: string): [number, unknown] {
    const [method, path = ''] = request.split(' ');
    if (path === '/version') return [200, { ApiVersion: '1.43', MinAPIVersion: '1.12' }];
    if (path === '/networks/create' || path === '/containers/create') return [201, { Id: ID, Warnings: [] }];
    if (path === '/networks') return [200, [NETWORK]];
    if (path === '/containers/json') return [200, target.includes('pipes.owner') ? [] : [LISTED]];
    if (/^\/containers\/[^/]+\/json$/.test(path)) return [200, this.container()];
    if (/\/logs$/.test(path)) return [200, frame('Listening\n')];
    if (/\/stats$/.test(path)) return [200, STATS];
    if (/\/history$/.test(path)) return [200, [{ Created: 1, CreatedBy: 'x', Size: 10 }]];
    if (path === '/images/create') return [200, Buffer.from(PULL.map((event) => `${JSON.stringify(event)}\n`).join(''))];
    if (path === '/images/json') return [200, [{ Id: 'sha256:abc', RepoTags: ['alice/web:main'] }]];
    if (path.startsWith('/images/')) return [200, IMAGE];
    return [method === 'GET' ? 404 : 204, method === 'GET' ? { message: 'No such thing' } : undefined];
  }

  container(): unknown {
    return {
      Id: ID,
      Image: 'sha256:abc',
      State: { Status: 'running', Running: true, Paused: false, OOMKilled: false, ExitCode: 0, StartedAt: '2026-01-02T03:04:05.678901234Z', FinishedAt: '0001-01-01T00:00:00Z' },
      Config: { Image: 'docker.io/alice/web:main', Hostname: 'x', Labels: { 'pipes.port': '80' }, ExposedPorts: { '80/tcp': {} } },
      HostConfig: { NetworkMode: 'pipes-apps' },
      NetworkSettings: { Networks: { 'pipes-apps': { NetworkID: ID, IPAddress: '', Gateway: '' } }, Ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: String(this.appPort) }] } },
    };
  }
}

/** A chunk of a chunked body (RFC 9112, 7.1). */
function chunked(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

export function frame(text: string): Buffer {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

const ID = 'c0ffee'.padEnd(64, '0');
const NETWORK = { Id: ID, Name: 'pipes-apps', Driver: 'bridge', Created: '2026-01-01T00:00:00Z', Options: { 'com.docker.network.bridge.enable_icc': 'false' }, IPAM: { Config: [{ Subnet: '192.0.2.0/24', Gateway: '192.0.2.1' }] } };
const LISTED = { Id: ID, Image: 'alice/web:main', ImageID: 'sha256:abc', State: 'running', Created: 1, Labels: {} };
const IMAGE = { Id: 'sha256:abc', Size: 10, RepoDigests: [`alice/web@sha256:${'a'.repeat(64)}`], Config: { ExposedPorts: { '80/tcp': {} } } };
const STATS = { read: '2026-01-02T03:04:05Z', cpu_stats: { cpu_usage: { total_usage: 5 } }, memory_stats: { usage: 100, limit: 200, stats: { inactive_file: 1 } }, networks: { eth0: { rx_bytes: 1, tx_bytes: 2 } }, pids_stats: { current: 1 } };
const PULL = [{ status: 'Pulling from alice/web', id: 'main' }, { status: 'Pulling fs layer', progressDetail: {}, id: 'a' }, { status: 'Downloading', progressDetail: { current: 1, total: 10 }, id: 'a' }, { status: 'Pull complete', id: 'a' }, { status: 'Status: Downloaded newer image' }];
