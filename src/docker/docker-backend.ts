import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import { PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ImageRef } from '../images/image-ref.ts';
import type { Backend, BackendListener, Observed, OutputLines, OutputOptions, RunSpec } from '../instances/backend.ts';
import type { Usage } from '../instances/usage.ts';
import { parseReference, printReference, type Reference } from '../targets/reference.ts';
import type { EngineCall, EngineClient } from './client.ts';
import { initFailure, lastLogLines } from './container-log.ts';
import { containerName, containerSpec } from './container-spec.ts';
import { readUsage, type EngineStats } from './container-usage.ts';
import { observe, observeManaged } from './container-view.ts';
import { DockerImages } from './docker-images.ts';
import { engineStatus, engineText } from './engine-errors.ts';
import { Container, ContainerList, Created, Stats } from './engine-shapes.ts';
import { followEvents } from './engine-events.ts';
import { Egress, type EgressOptions } from './egress.ts';
import { Firewall, type FirewallOptions } from './firewall.ts';
import { foreignCandidates, foreignUpstream } from './foreign-containers.ts';
import { iptables } from './iptables.ts';
import { LABELS } from './labels.ts';
import { LogLines } from './log-lines.ts';
import { Networks, type NetworkOptions } from './networks.ts';

export interface DockerBackendOptions {
  readonly client: EngineClient;
  /** The random id of this pipes, on each of its containers. */
  readonly owner: string;
  readonly networks: NetworkOptions;
  readonly egress: Pick<EgressOptions, 'egress'> & Pick<FirewallOptions, 'openPorts'>;
  readonly log: Log;
}

/** Runs instances as containers of a Docker engine. */
export class DockerBackend implements Backend {
  readonly #client: EngineClient;
  readonly #owner: string;
  readonly #networks: Networks;
  readonly #egress: Egress;
  readonly #images: DockerImages;
  readonly #log: Log;
  /** Containers that someone started by hand and that are in use here: what they were found for. */
  readonly #found = new Map<string, { readonly reference: string; readonly port: number | undefined }>();
  #usesPortProxy = false;
  #sleepers = new Map<string, Observed>();

  constructor({ client, owner, networks, egress, log }: DockerBackendOptions) {
    this.#client = client;
    this.#owner = owner;
    this.#networks = new Networks(client, networks, log);
    const firewall = new Firewall({ id: owner.slice(0, 8), openPorts: egress.openPorts, iptables });
    this.#egress = new Egress({ egress: egress.egress, firewall, findBridge: () => this.#networks.appsBridge(), log });
    this.#images = new DockerImages(client);
    this.#log = log;
  }

  /** Known from the first container that was made or looked at. */
  get acceptsBeforeReady(): boolean {
    return this.#usesPortProxy;
  }

  async create(spec: RunSpec): Promise<string> {
    const place = await this.#networks.place(spec.reference.user);
    await this.#egress.ready();
    if (place.reach === 'publish') this.#usesPortProxy = true;
    const body = containerSpec(spec, this.#owner, place);
    for (let attempt = 0; ; attempt++) {
      try {
        const name = containerName(spec.reference, randomBytes(3).toString('hex'));
        const made = await this.#client.call<{ Id: string }>({ method: 'POST', path: '/containers/create', query: { name }, body, shape: Created });
        return made.Id;
      } catch (thrown) {
        // Six digits out of sixteen million: somebody has this name already, the next one is free.
        if (engineStatus(thrown) !== 409 || attempt >= 3) throw this.#client.translate(thrown);
      }
    }
  }

  async start(id: string): Promise<void> {
    await this.#egress.ready();
    try {
      await this.#post(id, 'start', { timeoutMs: START_TIMEOUT_MS });
    } catch (thrown) {
      if (engineStatus(thrown) === 404 && !isNetworkGone(thrown)) return;
      if (/cannot start a paused container/i.test(engineText(thrown))) {
        await this.unpause(id);
        return;
      }
      if (HALF_STARTED.test(engineText(thrown))) {
        // An engine that died in the middle of its start can neither start nor end it any more, so another takes its place.
        await this.remove(id);
        return;
      }
      if (!isNetworkGone(thrown)) throw this.#client.translate(thrown);
      // Somebody pruned networks while nothing of ours was running.
      await this.#restoreNetwork(id);
      await this.#do(id, 'start', { timeoutMs: START_TIMEOUT_MS });
    }
  }

  async pause(id: string): Promise<void> {
    await this.#do(id, 'pause');
  }

  async unpause(id: string): Promise<boolean> {
    return await this.#do(id, 'unpause');
  }

  async stop(id: string, graceS: number): Promise<void> {
    const info = await this.#inspect(id);
    if (!info) return;
    // A frozen process cannot take the signal.
    if (info.State.Paused) await this.unpause(id);
    await this.#do(id, 'stop', { query: { t: graceS }, timeoutMs: graceS * 1000 + STOP_MARGIN_MS });
  }

  async remove(id: string): Promise<void> {
    try {
      await this.#client.call({ method: 'DELETE', path: `/containers/${id}`, query: { force: true, v: true }, timeoutMs: STOP_MARGIN_MS });
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return;
      if (!/removal .* is already in progress/i.test(engineText(thrown))) throw this.#client.translate(thrown);
      await this.#do(id, 'wait', { query: { condition: 'removed' }, timeoutMs: STOP_MARGIN_MS });
    }
  }

  async inspect(id: string): Promise<Observed | undefined> {
    const info = await this.#inspect(id);
    if (!info) this.#found.delete(id);
    const observed = info && (await this.#observe(info));
    if (observed?.exitCode !== NOT_FOUND && observed?.exitCode !== NOT_EXECUTABLE) return observed;
    const cannotRun = initFailure(await this.lastLines(id, 1));
    return cannotRun === undefined ? observed : { ...observed, cannotRun };
  }

  async list(): Promise<Observed[]> {
    const containers = await this.#list({ label: [`${LABELS.owner}=${this.#owner}`] }, true);
    const observed: Observed[] = [];
    for (let at = 0; at < containers.length; at += INSPECTS_AT_ONCE) {
      const batch = await Promise.all(containers.slice(at, at + INSPECTS_AT_ONCE).map(async (one) => this.#asleep(one) ?? (await this.#inspectListed(one.Id))));
      observed.push(...batch.filter((one) => one !== undefined));
    }
    this.#sleepers = new Map(observed.filter(({ state }) => state === 'exited').map((one) => [one.id, one]));
    return observed;
  }

  /** One container that the engine cannot show must not hide all the others. */
  async #inspectListed(id: string): Promise<Observed | undefined> {
    try {
      return await this.inspect(id);
    } catch (thrown) {
      if (!(thrown instanceof PipesError) || engineStatus(thrown.cause) === undefined) throw thrown;
      this.#log.warn({ container: id, err: thrown.cause }, 'the engine cannot show this container; it is passed over');
      return undefined;
    }
  }

  /** Most containers of a large installation sleep, and nothing about a sleeper moves: once looked at is enough. */
  #asleep({ Id, State }: ContainerInfo): Observed | undefined {
    return State === 'exited' ? this.#sleepers.get(Id) : undefined;
  }

  async findForeign(reference: Reference, imageRef: ImageRef, port: number | undefined): Promise<Observed | undefined> {
    const running = await this.#list({ status: ['running'] }, false);
    const self = running.length === 0 ? undefined : await this.#networks.self();
    for (const candidate of await foreignCandidates(running, imageRef, this.#images)) {
      const info = candidate.Id === self?.id ? undefined : await this.#inspect(candidate.Id);
      const upstream = info && (await foreignUpstream(info, port, self));
      const observed = upstream && observe(info, printReference(reference), false, upstream);
      if (observed?.state !== 'running') continue;
      this.#found.set(observed.id, { reference: observed.reference, port });
      return observed;
    }
    return undefined;
  }

  async lastLines(id: string, count: number): Promise<string[]> {
    try {
      const signal = AbortSignal.timeout(LOG_TIMEOUT_MS);
      const stream = await this.#client.stream({ method: 'GET', path: `/containers/${id}/logs`, query: { stdout: true, stderr: true, tail: count }, signal });
      return await lastLogLines(stream, count);
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return [];
      throw this.#client.translate(thrown);
    }
  }

  async logs(id: string, { follow, tail, signal }: OutputOptions): Promise<OutputLines | undefined> {
    try {
      const query = { stdout: true, stderr: true, follow, tail: tail ?? 'all' };
      const stream = await this.#client.stream({ method: 'GET', path: `/containers/${id}/logs`, query, timeoutMs: LOG_TIMEOUT_MS, signal });
      return this.#cut(stream, signal);
    } catch (thrown) {
      if (signal.aborted || engineStatus(thrown) === 404) return undefined;
      if (KEEPS_NO_LOG.test(engineText(thrown))) throw new PipesError('not_found', 'The engine keeps no output of this container: its log driver cannot be read.', { cause: thrown });
      throw this.#client.translate(thrown);
    }
  }

  async stats(id: string, signal: AbortSignal): Promise<Usage | undefined> {
    try {
      // Engines older than 20.10 do not know one-shot and look twice, which takes them two seconds.
      const query = { stream: false, 'one-shot': true };
      return readUsage(await this.#client.call<EngineStats>({ method: 'GET', path: `/containers/${id}/stats`, query, timeoutMs: STATS_TIMEOUT_MS, signal, shape: Stats }));
    } catch (thrown) {
      signal.throwIfAborted();
      if (engineStatus(thrown) === 404) return undefined;
      throw this.#client.translate(thrown);
    }
  }

  watch(listener: BackendListener): { stop(): Promise<void> } {
    const lost = (): void => {
      // Who restarted the engine may have removed networks, too.
      this.#networks.forget();
      listener.lost();
    };
    const restored = (): void => {
      // Who restarted the engine may have started the machine's firewall anew, too.
      this.#egress.renew();
      listener.restored();
    };
    const events = followEvents(this.#client, { changed: (id, what) => listener.changed(id, what), lost, restored }, this.#log);
    this.#egress.start();
    return {
      stop: async () => {
        this.#egress.stop();
        await events.stop();
      },
    };
  }

  /** How many containers were made by a pipes that is not this one: its orphans, if it lost its `CONFIG_DIR`. */
  async foreignOwners(): Promise<number> {
    const containers = await this.#list({ label: [`${LABELS.managed}=true`] }, true);
    return containers.filter(({ Labels }) => Labels[LABELS.owner] !== this.#owner).length;
  }

  async *#cut(stream: Readable, signal: AbortSignal): OutputLines {
    const cutter = new LogLines();
    try {
      for await (const chunk of stream) {
        const lines = cutter.take(chunk as Buffer);
        if (lines.length > 0) yield lines;
      }
    } catch (thrown) {
      if (signal.aborted) return;
      throw this.#client.translate(thrown);
    }
    const lines = cutter.end();
    if (lines.length > 0) yield lines;
  }

  async #observe(info: ContainerInspectInfo): Promise<Observed | undefined> {
    const labels = info.Config.Labels;
    const self = await this.#networks.self();
    if (labels[LABELS.owner] !== this.#owner) {
      const found = this.#found.get(info.Id);
      return observe(info, found?.reference ?? '', false, await foreignUpstream(info, found?.port, self));
    }
    if (self && info.State.Running) await this.#join(info);
    const observed = observeManaged(info, self !== undefined);
    if (observed?.upstream && observed.upstream.port !== Number(labels[LABELS.port])) this.#usesPortProxy = true;
    return observed;
  }

  /** After pipes' own container was replaced, the new one is in none of its users' networks yet. */
  async #join(info: ContainerInspectInfo): Promise<void> {
    for (const { NetworkID } of Object.values(info.NetworkSettings.Networks)) if (NetworkID !== '') await this.#networks.join(NetworkID);
  }

  /** The container still holds the id of the network that is gone; joining the one that now has its name puts the new id there. */
  async #restoreNetwork(id: string): Promise<void> {
    const info = await this.#inspect(id);
    const reference = info?.Config.Labels[LABELS.reference];
    if (reference === undefined) return;
    this.#networks.forget();
    const place = await this.#networks.place(parseReference(reference).user);
    this.#egress.renew();
    await this.#egress.ready();
    try {
      await this.#client.call({ method: 'POST', path: `/networks/${place.network}/connect`, body: { Container: id } });
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }

  async #inspect(id: string): Promise<ContainerInspectInfo | undefined> {
    try {
      return await this.#client.call<ContainerInspectInfo>({ method: 'GET', path: `/containers/${id}/json`, shape: Container });
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return undefined;
      throw this.#client.translate(thrown);
    }
  }

  async #list(filters: object, all: boolean): Promise<ContainerInfo[]> {
    try {
      return await this.#client.call<ContainerInfo[]>({ method: 'GET', path: '/containers/json', query: { all, filters }, shape: ContainerList });
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }

  /** An order that has nothing left to do when the container is gone, or is already as it is to be: false then. */
  async #do(id: string, order: string, call: Partial<EngineCall> = {}): Promise<boolean> {
    try {
      await this.#post(id, order, call);
      return true;
    } catch (thrown) {
      if (engineStatus(thrown) === 404 && !isNetworkGone(thrown)) return false;
      if (!ALREADY.test(engineText(thrown))) throw this.#client.translate(thrown);
      return false;
    }
  }

  async #post(id: string, order: string, call: Partial<EngineCall>): Promise<void> {
    try {
      await this.#client.call({ ...call, method: 'POST', path: `/containers/${id}/${order}` });
    } catch (thrown) {
      // "Not modified": it already is.
      if (engineStatus(thrown) !== 304) throw thrown;
    }
  }
}

/** The engine pulls nothing at a start, but a loaded machine may take long to set up network and namespaces. */
const START_TIMEOUT_MS = 60_000;
/** What the engine may take besides the grace of a stop, or to remove a container with a large file system. */
const STOP_MARGIN_MS = 60_000;
const LOG_TIMEOUT_MS = 10_000;
/** Engines look once a second while anybody asks. */
const STATS_TIMEOUT_MS = 10_000;
const INSPECTS_AT_ONCE = 8;

/** Containers that someone started by hand may have any log driver. */
const KEEPS_NO_LOG = /logging driver does not support reading/i;

/** The engine's words for an order that came too late to matter. */
const ALREADY = /is already paused|is not paused|is not running|is already stopped/i;

/** containerd still has the process that an engine which was killed had just started. */
const HALF_STARTED = /task [0-9a-f]+: already exists/i;

function isNetworkGone(thrown: unknown): boolean {
  return thrown instanceof PipesError ? false : /network .*(?:not found|is ambiguous)|could not find a network|no such network/i.test(engineText(thrown));
}

/** What the engine's init exits with when it cannot run its program, as shells do (POSIX, "Exit Status for Commands"). */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
