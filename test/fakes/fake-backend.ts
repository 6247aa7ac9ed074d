import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PipesError } from '../../src/core/errors.ts';
import type { Backend, BackendListener, Observed, OutputLines, OutputOptions, RunSpec } from '../../src/instances/backend.ts';
import type { Usage } from '../../src/instances/usage.ts';
import { printReference, type Reference } from '../../src/targets/reference.ts';

/**
 * What a container does, given in its configuration as `env.BEHAVIOUR`: `serves` (also without one), `exits` (writes three lines,
 * code 3), `unrunnable` (its start is refused), `silent` (runs and never listens). `env.FAILS_IMAGE`: with the image of that id it `exits`.
 */
type Behaviour = 'serves' | 'exits' | 'unrunnable' | 'silent';

interface Container {
  readonly id: string;
  readonly spec: RunSpec | undefined;
  readonly reference: string;
  readonly imageId: string;
  readonly imageRef: string;
  readonly managed: boolean;
  state: Observed['state'];
  exitCode: number | undefined;
  startedAt: Date | undefined;
  finishedAt: Date | undefined;
  server: Server | undefined;
  sockets: Set<Socket>;
  lines: string[];
  /** `change` at each line, and when it ends. */
  readonly output: EventEmitter;
}

/**
 * A backend in memory whose containers are real HTTP servers on loopback, for tests that need many lives, exact interleavings
 * or faults on demand. Held to the same contract as Docker. Each answers with its own id, so a test sees who served it.
 */
export class FakeBackend implements Backend {
  readonly acceptsBeforeReady = false;
  /** How long each call takes. */
  latencyMs = 0;
  /** Calls so far, by name. */
  readonly calls: string[] = [];
  /** False: every call fails as if the engine were away. */
  isUp = true;
  /** The most containers of one reference that ever ran at once. */
  mostAtOnce = 0;
  readonly #containers = new Map<string, Container>();
  /** While true, calls are taken and not answered. */
  isHung = false;
  readonly #listeners = new Set<BackendListener>();
  #count = 0;

  async create(spec: RunSpec): Promise<string> {
    await this.#call('create');
    return this.#add(spec, printReference(spec.reference), spec.image.id, '', true).id;
  }

  async start(id: string): Promise<void> {
    await this.#call('start');
    const container = this.#containers.get(id);
    if (!container || container.state === 'running') return;
    if (container.state === 'paused') { this.#setPaused(container, false); return; }
    await this.#run(container);
  }

  async pause(id: string): Promise<void> {
    await this.#call('pause');
    const container = this.#containers.get(id);
    if (container?.state === 'running') this.#setPaused(container, true);
  }

  async unpause(id: string): Promise<boolean> {
    await this.#call('unpause');
    const container = this.#containers.get(id);
    if (container?.state !== 'paused') return false;
    this.#setPaused(container, false);
    return true;
  }

  async stop(id: string): Promise<void> {
    await this.#call('stop');
    const container = this.#containers.get(id);
    if (container && container.state !== 'created') this.#exit(container, 143);
  }

  async remove(id: string): Promise<void> {
    await this.#call('remove');
    this.#delete(id);
  }

  async inspect(id: string): Promise<Observed | undefined> {
    await this.#call('inspect');
    const container = this.#containers.get(id);
    return container && observe(container);
  }

  async list(): Promise<Observed[]> {
    await this.#call('list');
    return [...this.#containers.values()].filter((container) => container.managed).map(observe);
  }

  async findForeign(reference: Reference, imageRef: { repository: string; tag: string }): Promise<Observed | undefined> {
    await this.#call('findForeign');
    const found = [...this.#containers.values()].find((container) => !container.managed && container.state === 'running' && container.imageRef === `${imageRef.repository}:${imageRef.tag}`);
    return found && { ...observe(found), reference: printReference(reference) };
  }

  async lastLines(id: string, count: number): Promise<string[]> {
    await this.#call('lastLines');
    return this.#containers.get(id)?.lines.slice(-count) ?? [];
  }

  async logs(id: string, options: OutputOptions): Promise<OutputLines | undefined> {
    await this.#call('logs');
    const container = this.#containers.get(id);
    return container && outputOf(container, options);
  }

  async stats(id: string, signal: AbortSignal): Promise<Usage | undefined> {
    await this.#call('stats', signal);
    const container = this.#containers.get(id);
    if (!container || !isLive(container)) return undefined;
    const atMs = Date.now();
    // It has kept half a core busy since it began.
    const cpuTotalNs = (atMs - container.startedAt!.getTime()) * 5e5;
    return { atMs, cpuTotalNs, memoryUsedBytes: 1_000_000, memoryLimitBytes: 64 * 2 ** 20, networkReceivedBytes: 10, networkSentBytes: 20, pids: 1 };
  }

  watch(listener: BackendListener): { stop(): Promise<void> } {
    this.#listeners.add(listener);
    queueMicrotask(() => {
      if (this.#listeners.has(listener)) listener.restored();
    });
    return {
      stop: () => {
        this.#listeners.delete(listener);
        return Promise.resolve();
      },
    };
  }

  // What happens behind pipes' back.

  /** A running container of that image that someone started by hand. */
  async startByHand(repository: string, tag: string): Promise<string> {
    const container = this.#add(undefined, '', 'sha256:by-hand', `${repository}:${tag}`, false);
    await this.#run(container);
    return container.id;
  }

  /** The program ends by itself. */
  crash(id: string): void {
    const container = this.#containers.get(id);
    if (container) this.#exit(container, 1, 'crashed');
  }

  /** The program writes a line. */
  print(id: string, line: string): void {
    const container = this.#containers.get(id)!;
    container.lines.push(line);
    container.output.emit('change');
  }

  /** How many follow its output at the moment. */
  followers(id: string): number {
    return this.#containers.get(id)!.output.listenerCount('change');
  }

  /** `docker kill`. */
  kill(id: string): void {
    const container = this.#containers.get(id);
    if (container) this.#exit(container, 137);
  }

  /** `docker rm -f`. */
  removeByHand(id: string): void {
    this.#delete(id);
  }

  /** `docker restart`: the address moves. */
  async restartByHand(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (!container || container.state === 'created') return;
    this.#exit(container, 143);
    await this.#run(container);
  }

  /** `docker pause`. */
  pauseByHand(id: string): void {
    const container = this.#containers.get(id);
    if (container?.state === 'running') this.#setPaused(container, true);
  }

  /** The engine goes away; its containers go on. */
  lose(): void {
    this.isUp = false;
    for (const listener of this.#listeners) listener.lost();
  }

  /** It is back. `restarted`: without its containers, as an engine without live-restore. */
  restore(restarted: boolean): void {
    if (restarted) for (const container of this.#containers.values()) this.#exit(container, 255);
    this.isUp = true;
    for (const listener of this.#listeners) listener.restored();
  }

  /** Ids of containers that exist, of all or of one reference. */
  ids(reference?: string): string[] {
    return [...this.#containers.values()].filter((container) => reference === undefined || container.reference === reference).map(({ id }) => id);
  }

  running(reference?: string): string[] {
    return this.ids(reference).filter((id) => this.#containers.get(id)!.state === 'running');
  }

  /** Ends every server. */
  close(): Promise<void> {
    for (const id of this.ids()) this.#delete(id);
    return Promise.resolve();
  }

  async #call(name: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(name);
    signal?.throwIfAborted();
    while (this.isHung) await delay(5);
    if (this.latencyMs > 0) await delay(this.latencyMs, undefined, { signal });
    else await Promise.resolve();
    if (!this.isUp) throw new PipesError('engine_unavailable', 'The engine is away.');
  }

  #add(spec: RunSpec | undefined, reference: string, imageId: string, imageRef: string, managed: boolean): Container {
    this.#count += 1;
    const container: Container = { id: `c${this.#count}`, spec, reference, imageId, imageRef, managed, state: 'created', exitCode: undefined, startedAt: undefined, finishedAt: undefined, server: undefined, sockets: new Set(), lines: [], output: new EventEmitter() };
    this.#containers.set(container.id, container);
    return container;
  }

  async #run(container: Container): Promise<void> {
    const env = container.spec?.config.env ?? {};
    const behaviour = env['FAILS_IMAGE'] === container.imageId ? 'exits' : ((env['BEHAVIOUR'] ?? 'serves') as Behaviour);
    if (behaviour === 'unrunnable') throw new PipesError('image_unusable', 'The image names a program that is not in it.');
    const server = createServer((request, response) => {
      if (request.url === '/headers') return void response.end(JSON.stringify(request.headers));
      if (request.url === '/echo') return void request.pipe(response);
      const waitMs = Number(/[?&]ms=(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
      if (waitMs === 0) response.end(container.id);
      else setTimeout(() => response.end(container.id), waitMs);
    });
    server.on('connection', (socket) => {
      container.sockets.add(socket);
      socket.on('close', () => container.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    container.server = server;
    container.state = 'running';
    container.exitCode = undefined;
    // Two starts within one millisecond are two lives all the same; engines count nanoseconds.
    container.startedAt = new Date(Math.max(Date.now(), (container.startedAt?.getTime() ?? 0) + 1));
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running(container.reference).length);
    this.#tell(container.id, 'started');
    if (behaviour === 'silent' || behaviour === 'exits') server.close();
    if (behaviour !== 'exits') return;
    container.lines = ['one', 'two', 'three'];
    setImmediate(() => this.#exit(container, 3, 'crashed'));
  }

  #setPaused(container: Container, paused: boolean): void {
    container.state = paused ? 'paused' : 'running';
    this.#tell(container.id, paused ? 'paused' : 'unpaused');
  }

  #exit(container: Container, code: number, what: 'died' | 'crashed' = 'died'): void {
    if (container.state !== 'running' && container.state !== 'paused') return;
    container.state = 'exited';
    container.exitCode = code;
    container.finishedAt = new Date();
    container.server?.close();
    for (const socket of container.sockets) socket.resetAndDestroy();
    container.output.emit('change');
    this.#tell(container.id, what);
  }

  #delete(id: string): void {
    const container = this.#containers.get(id);
    if (!container) return;
    this.#exit(container, 137);
    this.#containers.delete(id);
    this.#tell(id, 'removed');
  }

  #tell(id: string, what: Parameters<BackendListener['changed']>[1]): void {
    if (!this.isUp) return;
    // An engine tells a moment later than it acts.
    setImmediate(() => {
      for (const listener of this.#listeners) listener.changed(id, what);
    });
  }
}

function observe(container: Container): Observed {
  const address = container.server?.address() as AddressInfo | null | undefined;
  return {
    id: container.id,
    reference: container.reference,
    managed: container.managed,
    state: container.state,
    exitCode: container.state === 'exited' ? container.exitCode : undefined,
    oomKilled: false,
    startedAt: container.startedAt,
    imageId: container.imageId,
    imageRef: container.imageRef,
    imageDigest: container.spec?.image.digest,
    finishedAt: container.finishedAt,
    configHash: container.spec?.configHash,
    // A silent one has closed its server, so its port is told as one that nothing listens on.
    upstream: isLive(container) ? { host: '127.0.0.1', port: address?.port ?? 1 } : undefined,
  };
}

function isLive({ state }: Container): boolean {
  return state === 'running' || state === 'paused';
}

async function* outputOf(container: Container, { follow, tail, signal }: OutputOptions): OutputLines {
  let told = tail === undefined ? 0 : Math.max(0, container.lines.length - tail);
  while (!signal.aborted) {
    const lines = container.lines.slice(told);
    told += lines.length;
    if (lines.length > 0) yield lines;
    if (container.lines.length > told) continue;
    if (!follow || !isLive(container)) return;
    await once(container.output, 'change', { signal }).catch(() => undefined);
  }
}
