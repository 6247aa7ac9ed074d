import { setTimeout as delay } from 'node:timers/promises';
import type { NetworkInspectInfo } from 'dockerode';
import { PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { SingleFlight } from '../core/single-flight.ts';
import type { EngineClient } from './client.ts';
import { engineStatus, engineText } from './engine-errors.ts';
import { Created, NetworkList } from './engine-shapes.ts';
import { LABELS } from './labels.ts';
import { findOwnContainer, type OwnContainer } from './own-container.ts';
import { chooseReach, isOwnAddress, type Reach } from './reach.ts';
import { defaultGateway, freeSubnets, parseSubnet, printSubnet, type Subnet } from './subnets.ts';

/** The settings `ISOLATE`, `NETWORK`, `NETWORK_POOL` and `UPSTREAM` (INTERFACE 2). */
export interface NetworkOptions {
  readonly isolate: boolean;
  readonly network: string | undefined;
  readonly networkPool: string;
  readonly upstream: Reach | 'auto';
}

/** Where a new container goes, and how requests then get into it. */
export interface Place {
  readonly network: string;
  readonly reach: Reach;
}

/** Where the isolated containers are, as the machine's firewall sees it: behind a bridge of this machine, or why not. */
export type AppsBridge = { readonly bridge: string } | { readonly obstacle: string };

/** The engine's networks that containers of this pipes are in: found or made when first needed, then remembered. */
export class Networks {
  readonly #client: EngineClient;
  readonly #options: NetworkOptions;
  readonly #log: Log;
  readonly #places = new Map<string, Place>();
  readonly #flights = new SingleFlight<Place>();
  readonly #sharing = new SingleFlight<NetworkInspectInfo>();
  /** Ids of networks that pipes' own container is in. */
  readonly #joined = new Set<string>();
  readonly #findSelf: (client: EngineClient) => Promise<OwnContainer | undefined>;
  #self: Promise<OwnContainer | undefined> | undefined;

  /** @param findSelf another answer to whether pipes runs in a container; for tests, which do not */
  constructor(client: EngineClient, options: NetworkOptions, log: Log, findSelf = findOwnContainer) {
    this.#client = client;
    this.#findSelf = findSelf;
    this.#options = options;
    this.#log = log;
  }

  /**
   * The place of a user's containers; asks the engine only the first time.
   * @throws PipesError `engine_unavailable`, `internal`
   */
  async place(user: string): Promise<Place> {
    const name = await this.#networkName(user);
    const known = this.#places.get(name);
    if (known) return known;
    return await this.#flights.run(name, async () => {
      const place = await this.#prepare(name);
      this.#places.set(name, place);
      return place;
    });
  }

  /**
   * The bridge that all containers of this pipes are behind. Asks the engine, and makes the network where there is none yet.
   * @throws PipesError `engine_unavailable`
   */
  async appsBridge(): Promise<AppsBridge> {
    if (!this.#options.isolate) return { obstacle: 'ISOLATE is off' };
    if (await this.self()) return { obstacle: 'pipes runs in a container' };
    const network = await this.#shared();
    // Made by hand: the rules are about IPv4.
    if (network.EnableIPv6) return { obstacle: `the network ${ISOLATED_NETWORK} has IPv6` };
    const gateway = (await this.#isEngineHere()) ? gatewayOf(network) : undefined;
    if (gateway === undefined || !(await isOwnAddress(gateway))) return { obstacle: 'the containers run on another machine' };
    // As the engine names the bridge of a network that asks for no name of its own.
    return { bridge: network.Options?.[BRIDGE_NAME] ?? `br-${network.Id.slice(0, 12)}` };
  }

  /** The container that pipes runs in, if it is one of this engine. */
  async self(): Promise<OwnContainer | undefined> {
    this.#self ??= this.#findSelf(this.#client);
    try {
      return await this.#self;
    } catch (error) {
      this.#self = undefined;
      throw error;
    }
  }

  /** Makes pipes' own container a member of the network, so that it reaches the others there; nothing to do on the host. */
  async join(networkId: string): Promise<void> {
    const self = await this.self();
    if (!self || this.#joined.has(networkId) || self.networks.has(networkId)) return;
    try {
      await this.#client.call({ method: 'POST', path: `/networks/${networkId}/connect`, body: { Container: self.id } });
    } catch (thrown) {
      if (!/already (?:exists in|attached to) network/i.test(engineText(thrown))) throw this.#client.translate(thrown);
    }
    this.#joined.add(networkId);
  }

  /** Anything may have changed in the engine: look again before the next use. */
  forget(): void {
    this.#places.clear();
    this.#joined.clear();
  }

  async #networkName(user: string): Promise<string> {
    if (!this.#options.isolate) return this.#options.network ?? 'bridge';
    return (await this.self()) ? `${ISOLATED_NETWORK}-${user}` : ISOLATED_NETWORK;
  }

  async #prepare(name: string): Promise<Place> {
    const self = await this.self();
    if (!this.#options.isolate) return await this.#settle(await this.#given(name), self);
    if (!self) return await this.#settle(await this.#shared(), self);
    return await this.#settle(await this.#ofUser(name), self);
  }

  async #settle(network: NetworkInspectInfo, self: OwnContainer | undefined): Promise<Place> {
    if (!self) {
      const gateway = (await this.#isEngineHere()) ? gatewayOf(network) : undefined;
      return { network: network.Name, reach: await chooseReach(this.#options.upstream, gateway) };
    }
    if (this.#options.upstream === 'publish') this.#log.warn('UPSTREAM=publish cannot work where pipes is itself a container: the loopback of the host is not its own. Containers are reached by their network address.');
    await this.join(network.Id);
    return { network: network.Name, reach: 'network' };
  }

  /** With an engine elsewhere, an address of this machine that looks like its gateway is a coincidence. */
  async #isEngineHere(): Promise<boolean> {
    return this.#client.address.kind === 'socket' || (await isOwnAddress(this.#client.address.host));
  }

  async #given(name: string): Promise<NetworkInspectInfo> {
    const [network] = await this.#named(name);
    if (network) return network;
    throw new PipesError('engine_unavailable', `The engine has no network "${name}", which NETWORK names.`);
  }

  /** One bridge for all, in which containers cannot reach each other; other pipes on this engine share it. */
  async #shared(): Promise<NetworkInspectInfo> {
    return await this.#sharing.run(ISOLATED_NETWORK, () => this.#findShared());
  }

  async #findShared(): Promise<NetworkInspectInfo> {
    const network = await this.#ensure(ISOLATED_NETWORK, { Options: { [NO_TRAFFIC_BETWEEN]: 'false' } });
    if (network.Driver === 'bridge' && network.Options?.[NO_TRAFFIC_BETWEEN] === 'false') return network;
    throw new PipesError('engine_unavailable', `The engine has a network "${ISOLATED_NETWORK}" in which containers reach each other. Remove it, and pipes makes it anew.`);
  }

  /** A network per user with a small subnet of its own: the engine's own pools hold only about thirty networks. */
  async #ofUser(name: string): Promise<NetworkInspectInfo> {
    const pool = parseSubnet(this.#options.networkPool);
    if (!pool) throw new PipesError('internal', `NETWORK_POOL "${this.#options.networkPool}" is no IPv4 network such as 10.213.0.0/16.`);
    let isFirst = true;
    for (const subnet of freeSubnets(pool, USER_PREFIX, await this.#takenSubnets())) {
      try {
        return await this.#ensure(name, { IPAM: { Driver: 'default', Config: [{ Subnet: printSubnet(subnet) }] } });
      } catch (error) {
        // Another pipes, or a route of the machine, was there first.
        if (!/overlap/i.test(engineText((error as Error).cause))) throw error;
        const made = isFirst ? await this.#appearing(name) : undefined;
        if (made) return made;
        isFirst = false;
      }
    }
    throw new PipesError('engine_unavailable', `NETWORK_POOL ${this.#options.networkPool} has no room for the network "${name}". Remove networks that nobody uses (docker network prune), or give it a larger one.`);
  }

  /** The very network that somebody else is making: the engine takes its addresses some time before it shows it. */
  async #appearing(name: string): Promise<NetworkInspectInfo | undefined> {
    const untilMs = performance.now() + APPEARS_WITHIN_MS;
    while (performance.now() < untilMs) {
      const [found] = await this.#named(name);
      if (found) return found;
      await delay(APPEARS_WITHIN_MS / 10);
    }
    return undefined;
  }

  /** Finds the network, or makes it. Of several that were made at the same moment the oldest stays, and all agree which that is. */
  async #ensure(name: string, body: object): Promise<NetworkInspectInfo> {
    const [found] = await this.#named(name);
    if (found) return found;
    const id = await this.#create(name, body);
    const [oldest] = await this.#named(name);
    if (!oldest) throw new PipesError('engine_unavailable', `The network "${name}" was removed right after it was made.`);
    if (id !== undefined && oldest.Id !== id) await this.#remove(id);
    return oldest;
  }

  /** Undefined when somebody else has just made it. */
  async #create(name: string, body: object): Promise<string | undefined> {
    try {
      const labels = { [LABELS.managed]: 'true' };
      const made = await this.#client.call<{ Id: string }>({ method: 'POST', path: '/networks/create', body: { Name: name, Driver: 'bridge', CheckDuplicate: true, EnableIPv6: false, Labels: labels, ...body }, shape: Created });
      return made.Id;
    } catch (thrown) {
      if (engineStatus(thrown) === 409) return undefined;
      throw this.#client.translate(thrown);
    }
  }

  async #remove(id: string): Promise<void> {
    try {
      await this.#client.call({ method: 'DELETE', path: `/networks/${id}` });
    } catch (thrown) {
      if (engineStatus(thrown) !== 404) this.#log.warn({ err: thrown, network: id }, 'a network that was made twice could not be removed');
    }
  }

  /** Oldest first. The engine's filter finds parts of names, so it is made exact here. */
  async #named(name: string): Promise<NetworkInspectInfo[]> {
    const networks = await this.#list({ name: [name] });
    return networks.filter((network) => network.Name === name).sort((a, b) => compare(a.Created, b.Created) || compare(a.Id, b.Id));
  }

  async #takenSubnets(): Promise<Subnet[]> {
    const networks = await this.#list({});
    return networks.flatMap((network) => network.IPAM?.Config ?? []).map((config) => parseSubnet(config.Subnet ?? '')).filter((subnet) => subnet !== undefined);
  }

  async #list(filters: object): Promise<NetworkInspectInfo[]> {
    try {
      return await this.#client.call<NetworkInspectInfo[]>({ method: 'GET', path: '/networks', query: { filters }, shape: NetworkList });
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }
}

/** INTERFACE 2, `ISOLATE`. */
export const ISOLATED_NETWORK = 'pipes-apps';
const NO_TRAFFIC_BETWEEN = 'com.docker.network.bridge.enable_icc';
const BRIDGE_NAME = 'com.docker.network.bridge.name';
const APPEARS_WITHIN_MS = 1_000;
/** 62 addresses: one for the host, one for each pipes, the rest for the user's containers. */
const USER_PREFIX = 26;

/** The host's address in the network; where the engine does not say it, the one it takes by itself. */
function gatewayOf(network: NetworkInspectInfo): string | undefined {
  for (const config of network.IPAM?.Config ?? []) {
    const gateway = config.Gateway?.replace(/\/\d+$/, '');
    if (gateway) return gateway;
    const subnet = parseSubnet(config.Subnet ?? '');
    if (subnet) return defaultGateway(subnet);
  }
  return undefined;
}

function compare(first: string, second: string): number {
  return first < second ? -1 : first > second ? 1 : 0;
}
