import { randomBytes } from 'node:crypto';
import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import { PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ImageRef } from '../images/image-ref.ts';
import type { Backend, BackendListener, Observed, RunSpec } from '../instances/backend.ts';
import { parseReference, printReference, type Reference } from '../targets/reference.ts';
import type { EngineCall, EngineClient } from './client.ts';
import { logLines } from './container-log.ts';
import { containerName, containerSpec } from './container-spec.ts';
import { observe, observeManaged } from './container-view.ts';
import { DockerImages } from './docker-images.ts';
import { engineStatus, engineText } from './engine-errors.ts';
import { followEvents } from './engine-events.ts';
import { foreignCandidates, foreignUpstream } from './foreign-containers.ts';
import { LABELS } from './labels.ts';
import { Networks, type NetworkOptions } from './networks.ts';

export interface DockerBackendOptions {
  readonly client: EngineClient;
  /** The random id of this pipes, on each of its containers. */
  readonly owner: string;
  readonly networks: NetworkOptions;
  readonly log: Log;
}

/** Runs instances as containers of a Docker engine. */
export class DockerBackend implements Backend {
  readonly #client: EngineClient;
  readonly #owner: string;
  readonly #networks: Networks;
  readonly #images: DockerImages;
  readonly #log: Log;
  /** Containers that someone started by hand and that are in use here: what they were found for. */
  readonly #found = new Map<string, { readonly reference: string; readonly port: number | undefined }>();
  #usesPortProxy = false;

  constructor({ client, owner, networks, log }: DockerBackendOptions) {
    this.#client = client;
    this.#owner = owner;
    this.#networks = new Networks(client, networks, log);
    this.#images = new DockerImages(client);
    this.#log = log;
  }

  /** Known from the first container that was made or looked at. */
  get acceptsBeforeReady(): boolean {
    return this.#usesPortProxy;
  }

  async create(spec: RunSpec): Promise<string> {
    const place = await this.#networks.place(spec.reference.user);
    if (place.reach === 'publish') this.#usesPortProxy = true;
    const body = containerSpec(spec, this.#owner, place);
    for (let attempt = 0; ; attempt++) {
      try {
        const name = containerName(spec.reference, randomBytes(3).toString('hex'));
        const made = await this.#client.call<{ Id: string }>({ method: 'POST', path: '/containers/create', query: { name }, body });
        return made.Id;
      } catch (thrown) {
        // Six digits out of sixteen million: somebody has this name already, the next one is free.
        if (engineStatus(thrown) !== 409 || attempt >= 3) throw this.#client.translate(thrown);
      }
    }
  }

  async start(id: string): Promise<void> {
    try {
      await this.#post(id, 'start', { timeoutMs: START_TIMEOUT_MS });
    } catch (thrown) {
      if (engineStatus(thrown) === 404 && !isNetworkGone(thrown)) return;
      if (/cannot start a paused container/i.test(engineText(thrown))) {
        await this.unpause(id);
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

  async unpause(id: string): Promise<void> {
    await this.#do(id, 'unpause');
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
    return info && (await this.#observe(info));
  }

  async list(): Promise<Observed[]> {
    const containers = await this.#list({ label: [`${LABELS.owner}=${this.#owner}`] }, true);
    const observed: Observed[] = [];
    for (let at = 0; at < containers.length; at += INSPECTS_AT_ONCE) {
      const batch = await Promise.all(containers.slice(at, at + INSPECTS_AT_ONCE).map(({ Id }) => this.inspect(Id)));
      observed.push(...batch.filter((one) => one !== undefined));
    }
    return observed;
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
      return logLines(Buffer.concat((await stream.toArray()) as Buffer[]), count);
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return [];
      throw this.#client.translate(thrown);
    }
  }

  watch(listener: BackendListener): { stop(): Promise<void> } {
    const lost = (): void => {
      // Who restarted the engine may have removed networks, too.
      this.#networks.forget();
      listener.lost();
    };
    return followEvents(this.#client, { changed: (id, what) => listener.changed(id, what), lost, restored: () => listener.restored() }, this.#log);
  }

  /** How many containers were made by a pipes that is not this one: its orphans, if it lost its `CONFIG_DIR`. */
  async foreignOwners(): Promise<number> {
    const containers = await this.#list({ label: [`${LABELS.managed}=true`] }, true);
    return containers.filter(({ Labels }) => Labels[LABELS.owner] !== this.#owner).length;
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
    try {
      await this.#client.call({ method: 'POST', path: `/networks/${place.network}/connect`, body: { Container: id } });
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }

  async #inspect(id: string): Promise<ContainerInspectInfo | undefined> {
    try {
      return await this.#client.call<ContainerInspectInfo>({ method: 'GET', path: `/containers/${id}/json` });
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return undefined;
      throw this.#client.translate(thrown);
    }
  }

  async #list(filters: object, all: boolean): Promise<ContainerInfo[]> {
    try {
      return await this.#client.call<ContainerInfo[]>({ method: 'GET', path: '/containers/json', query: { all, filters } });
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }

  /** An order that has nothing left to do when the container is gone, or is already as it is to be. */
  async #do(id: string, order: string, call: Partial<EngineCall> = {}): Promise<void> {
    try {
      await this.#post(id, order, call);
    } catch (thrown) {
      if (engineStatus(thrown) === 404 && !isNetworkGone(thrown)) return;
      if (!ALREADY.test(engineText(thrown))) throw this.#client.translate(thrown);
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
const INSPECTS_AT_ONCE = 8;

/** The engine's words for an order that came too late to matter. */
const ALREADY = /is already paused|is not paused|is not running|is already stopped/i;

function isNetworkGone(thrown: unknown): boolean {
  return thrown instanceof PipesError ? false : /network .*(?:not found|is ambiguous)|could not find a network|no such network/i.test(engineText(thrown));
}
