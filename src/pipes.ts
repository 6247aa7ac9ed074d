import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Api } from './api/api.ts';
import type { LoadedSettings } from './config/load-settings.ts';
import { trustedProxies, type Settings } from './config/settings.ts';
import { BoundedQueue } from './core/bounded-queue.ts';
import { PipesError } from './core/errors.ts';
import type { Log } from './core/log.ts';
import { Metrics } from './core/metrics.ts';
import { openFiles } from './core/open-files.ts';
import { RequestTally } from './core/request-tally.ts';
import { steadyMs } from './core/steady-clock.ts';
import { WakeTally } from './core/wake-tally.ts';
import { EngineClient } from './docker/client.ts';
import { parseEngineAddress } from './docker/engine-address.ts';
import { DockerBackend } from './docker/docker-backend.ts';
import { DockerImages } from './docker/docker-images.ts';
import { parseRegistryBase, type RegistryBase } from './images/image-ref.ts';
import { ImageDisk } from './images/image-disk.ts';
import { ImageSupply } from './images/image-supply.ts';
import { RegistryClient } from './images/registry-client.ts';
import { RegistryLogins } from './images/registry-logins.ts';
import { InstanceOutput } from './instances/instance-output.ts';
import { InstanceTable } from './instances/instance-table.ts';
import { InstanceUsage } from './instances/instance-usage.ts';
import { Starter } from './instances/starter.ts';
import { TagRefresher } from './instances/tag-refresher.ts';
import type { NeededRights } from './leave-root.ts';
import { clientOf } from './proxy/client-of.ts';
import { Dispatcher } from './proxy/dispatcher.ts';
import { Door } from './proxy/door.ts';
import { Forwarder } from './proxy/forwarder.ts';
import { HostCache } from './proxy/host-cache.ts';
import { ProxyServer } from './proxy/proxy-server.ts';
import { QuietRules } from './proxy/quiet.ts';
import { ConfigRights, type Bounds } from './security/api/config-rights.ts';
import { Credentials } from './security/api/credentials.ts';
import { ForwardAuth } from './security/proxy/forward-auth.ts';
import { PasswordCheck } from './security/proxy/password-check.ts';
import { PasswordHasher } from './security/proxy/password-hasher.ts';
import { Policy } from './security/proxy/policy.ts';
import { Visitors } from './security/proxy/visitors.ts';
import { WakeRate } from './security/proxy/wake-rate.ts';
import { WebhookSecret } from './security/api/webhook-secret.ts';
import { PipesFile } from './store/pipes-file.ts';
import { AccessRules } from './targets/access-rules.ts';
import { RouteTable } from './targets/route-table.ts';
import { TargetResolver } from './targets/target-resolver.ts';

export const VERSION = (createRequire(import.meta.url)('../package.json') as { version: string }).version;

/** Where it can be reached once it runs. */
export interface Started {
  readonly port: number;
  /** The admin token that was made, to be shown this once; undefined when there was one already. */
  readonly newAdminToken: string | undefined;
}

/** The whole program: every part built and handed what it needs, in one place. Started once, stopped once. */
export class Pipes {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #store: PipesFile;
  readonly #warnings: readonly string[];
  #phase: 'starting' | 'running' | 'stopping' = 'starting';
  #running: Running | undefined;

  constructor(loaded: LoadedSettings, log: Log) {
    this.#settings = loaded.values;
    this.#log = log;
    this.#store = new PipesFile(loaded.values.CONFIG_DIR);
    this.#warnings = [...loaded.warnings, ...openDoors(loaded)];
  }

  /** HTTP requests sent to the engine since the start; a warm request adds none. */
  get engineCalls(): number {
    return this.#running?.engine.callCount ?? 0;
  }

  /**
   * Takes the configuration directory, takes over what runs, listens.
   * @throws PipesError whose message is the one line to end with, or the socket's error
   */
  async start(): Promise<Started> {
    for (const warning of this.#warnings) this.#log.warn(warning);
    await this.#store.start();
    try {
      const running = this.#build((await openFiles())?.most ?? Infinity);
      this.#running = running;
      await running.logins.start();
      await running.table.open();
      running.refresher.start();
      running.imageDisk.start();
      const port = await running.server.start();
      this.#phase = 'running';
      // Not before it is sure to be shown: a start that fails, because the port is taken, shows nothing.
      const newAdminToken = await running.credentials.ensureAdminToken();
      void this.#warnOfOrphans(running.backend);
      return { port, newAdminToken };
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
  }

  /** Finishes what is in flight, at most `SHUTDOWN_TIMEOUT`; containers stay up. */
  async stop(): Promise<void> {
    const wasListening = this.#phase === 'running';
    this.#phase = 'stopping';
    if (this.#running && wasListening) await this.#running.server.stop();
    // Work that was answered with 202 ends here too: what waits is told to give up, what is done is done.
    const running = this.#running;
    await Promise.all([running?.refresher.stop(), running?.table.close()]);
    await running?.api.settled();
    await running?.imageDisk.stop();
    this.#running?.forwarder.close();
    this.#running?.forwardAuth.close();
    await this.#store.stop();
  }

  #build(mostOpenFiles: number): Running {
    const settings = this.#settings;
    const log = this.#log;
    const registry = parseRegistryBase(settings.REGISTRY)!;
    const policy = Policy.from(settings.ALLOW, settings.DENY, settings.REQUIRE_DIGEST)!;
    const isTrusted = trustedProxies(settings.TRUST_PROXY);
    const credentials = new Credentials({ store: this.#store, apiToken: settings.API_TOKEN, isOpen: settings.API_AUTH === 'none', nowMs: Date.now });

    const engine = new EngineClient({
      host: settings.DOCKER_HOST,
      tlsDirectory: tlsDirectory(settings),
    });
    const backend = new DockerBackend({
      client: engine,
      owner: this.#store.owner,
      networks: { isolate: settings.ISOLATE, network: settings.NETWORK, networkPool: settings.NETWORK_POOL, upstream: settings.UPSTREAM },
      egress: { egress: settings.EGRESS, openPorts: portsForApps(settings) },
      log,
    });
    const logins = new RegistryLogins({
      own: ownLogin(settings, registry),
      dockerConfigPath: loginsPath(settings),
      warn: (line) => log.warn(line),
    });
    const queues = {
      pulls: new BoundedQueue({ name: 'pulls', concurrency: settings.PULL_CONCURRENCY, waitingLimit: settings.QUEUE_LIMIT }),
      starts: new BoundedQueue({ name: 'starts', concurrency: settings.START_CONCURRENCY, waitingLimit: settings.QUEUE_LIMIT }),
    };
    const tallies = { requests: new RequestTally(), wakes: new WakeTally() };
    const engineImages = new DockerImages(engine);
    const imageDisk: ImageDisk = new ImageDisk({ budgetBytes: settings.IMAGE_DISK, shelf: engineImages, store: this.#store, isWanted: (name) => table.wantsImage(name), log, now: Date.now });
    const images = new ImageSupply({
      store: engineImages,
      registry: new RegistryClient(),
      logins,
      queue: queues.pulls,
      pullTimeoutMs: settings.PULL_TIMEOUT,
      beforeUse: (ref) => imageDisk.beforeUse(ref),
      onPulled: (ref, image, pullMs) => void imageDisk.pulled(ref, image, pullMs),
    });
    const defaults = { memoryBytes: settings.MEMORY, cpus: settings.CPUS, pids: settings.PIDS, startTimeoutMs: settings.START_TIMEOUT, pull: settings.PULL, idle: { pauseMs: settings.IDLE_PAUSE, stopMs: settings.IDLE_STOP, removeMs: settings.IDLE_REMOVE }, wait: settings.WAIT };
    const resolver = new TargetResolver({ registry, defaults, configs: this.#store, assertMayRun: (repository, image) => policy.mayRun(repository, image) });
    const forwarder = new Forwarder({
      connectTimeoutMs: settings.CONNECT_TIMEOUT,
      upstreamTimeoutMs: settings.UPSTREAM_TIMEOUT,
      bodyIdleTimeoutMs: settings.BODY_IDLE_TIMEOUT,
      trustProxy: isTrusted,
      isOwnToken: (authorization) => credentials.isOwnToken(authorization),
    });
    const wakeRate = new WakeRate({ perClient: perMs(settings.WAKE_RATE), newTargets: perMs(settings.NEW_TARGETS), nowMs: steadyMs });
    const table: InstanceTable = new InstanceTable({
      backend,
      images,
      starter: new Starter(backend),
      startQueue: queues.starts,
      resolver,
      log,
      now: steadyMs,
      maxRunning: settings.MAX_RUNNING,
      roomTimeoutMs: settings.START_TIMEOUT,
      drainTimeoutMs: settings.DRAIN_TIMEOUT,
      stopGraceS: STOP_GRACE_S,
      adoptForeign: settings.ADOPT_FOREIGN,
      reconcileEveryMs: RECONCILE_EVERY_MS,
      admitColdStart: (client, isNewTarget) => (client === undefined ? undefined : wakeRate.admit(client, isNewTarget)),
      onWoken: (key, timing) => {
        tallies.wakes.woken(timing);
        refresher.noteWoken(key, timing.from);
      },
      onContainerGone: () => void imageDisk.tidy(),
      onEnded: (run) => forwarder.release(run.upstream),
    });
    const refresher: TagRefresher = new TagRefresher({ instances: table, images, log, everyMs: settings.PULL_REFRESH });
    const passwordHasher = new PasswordHasher();
    const rules = { domains: settings.DOMAIN, domainLevels: settings.DOMAINLEVELS, platformHosts: settings.PLATFORM_HOSTS };
    const routes = new RouteTable({ store: this.#store, rules });
    const api = new Api({
      version: VERSION,
      control: table,
      configs: this.#store,
      routes,
      credentials,
      passwordHasher,
      rights: new ConfigRights(policy, registry, deployBounds(settings)),
      health: { health: () => this.#health(table) },
      output: new InstanceOutput({ control: table, backend }),
      usage: new InstanceUsage({ backend, memoryTimeoutMs: MEMORY_TIMEOUT_MS }),
      metrics: new Metrics({
        version: VERSION,
        ...tallies,
        openRequests: () => dispatcher.open,
        instances: () => table.stateCounts(),
        queues,
        isEngineUp: () => table.isEngineUp,
        engineCalls: () => engine.callCount,
      }),
      pushes: {
        notePush: (push, mayTouch) => {
          const { repository, tag } = push;
          // It may have been asked for before it was there, and by a host, which knows no case.
          for (const each of new Set([tag, tag.toLowerCase()])) images.forget({ registry: registry.registry, repository, tag: each });
          return refresher.notePush(push, ({ reference }) => mayTouch(reference));
        },
      },
      webhookSecret: new WebhookSecret(settings.WEBHOOK_SECRET),
      log,
      nowMs: Date.now,
      clientOf: (request) => clientOf(request, isTrusted) ?? '',
      bodyTimeoutMs: settings.BODY_IDLE_TIMEOUT,
    });
    const forwardAuth = new ForwardAuth(ACCESS_TIMEOUT_MS);
    const visitors = new Visitors({ credentials, passwords: new PasswordCheck({ hasher: passwordHasher, nowMs: () => performance.now() }), forwardAuth });
    const dispatcher: Dispatcher = new Dispatcher({
      tally: tallies.requests,
      hosts: new HostCache(routes, new AccessRules(this.#store)),
      door: new Door({ visitors, isTrusted, isOwnToken: (authorization) => credentials.isOwnToken(authorization) }),
      waker: table,
      forwarder,
      local: api,
      log,
      isTrusted,
      holdTimeoutMs: settings.PULL_TIMEOUT + settings.START_TIMEOUT,
      refusedGraceMs: settings.CONNECT_TIMEOUT,
      pageAfterMs: settings.WAIT_PAGE_AFTER,
      quiet: new QuietRules(settings.QUIET),
    });
    const server = new ProxyServer({
      bind: settings.BIND,
      port: settings.PORT,
      dispatcher,
      log,
      mostOpenFiles,
      headerTimeoutMs: settings.HEADER_TIMEOUT,
      shutdownTimeoutMs: settings.SHUTDOWN_TIMEOUT,
    });
    return { engine, backend, logins, credentials, table, imageDisk, refresher, forwarder, forwardAuth, api, server };
  }

  #health(table: InstanceTable): { status: 'ok' | 'degraded' | 'starting' | 'stopping'; reasons: string[] } {
    if (this.#phase !== 'running') return { status: this.#phase, reasons: [] };
    const reasons = [...this.#warnings.filter((warning) => warning.startsWith(OPEN_DOOR)), ...(table.isEngineUp ? [] : ['the container engine cannot be reached'])];
    return { status: reasons.length === 0 ? 'ok' : 'degraded', reasons };
  }

  /** Containers whose CONFIG_DIR was lost belong to nobody any more, and only a person can tell. */
  async #warnOfOrphans(backend: DockerBackend): Promise<void> {
    const orphans = await backend.foreignOwners().catch(() => 0);
    if (orphans === 0) return;
    this.#log.warn({ containers: orphans }, 'containers of another pipes are on this engine and are left alone; if its CONFIG_DIR is lost, remove them: docker ps -a --filter label=pipes.managed=true');
  }
}

interface Running {
  readonly engine: EngineClient;
  readonly backend: DockerBackend;
  readonly logins: RegistryLogins;
  readonly credentials: Credentials;
  readonly table: InstanceTable;
  readonly imageDisk: ImageDisk;
  readonly refresher: TagRefresher;
  readonly forwarder: Forwarder;
  readonly forwardAuth: ForwardAuth;
  readonly api: Api;
  readonly server: ProxyServer;
}

/** Ten times what START_TIMEOUT allows by default: slow starters of the usual kind get there. */
const LONGEST_READINESS_MS = 600_000;

/** As `docker stop` has it. */
const STOP_GRACE_S = 10;

/** How long the service of `access.forward` may take for its word; a visitor waits for it. */
const ACCESS_TIMEOUT_MS = 10_000;

const RECONCILE_EVERY_MS = 30_000;

/** A list of containers comes soon, also when the engine is slow to say how much memory they hold. */
const MEMORY_TIMEOUT_MS = 2_000;

const OPEN_DOOR = 'Open to others:';

/** What a stranger can do as it is set up now; said at each start, and by /health. */
function openDoors({ values, sources }: LoadedSettings): string[] {
  const allowUnset = sources.find(({ name }) => name === 'ALLOW')?.origin === 'default';
  return [
    ...(allowUnset && !isLoopback(values.BIND) ? [`${OPEN_DOOR} ALLOW is unset and BIND is ${values.BIND}, so whoever reaches this port can run any image; set ALLOW`] : []),
    ...(values.API_AUTH === 'none' ? [`${OPEN_DOOR} API_AUTH is none, so whoever reaches this port can change what runs`] : []),
  ];
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** Apps may call each other by their names, through pipes. Where its API is open to whoever reaches it, they may not reach it. */
function portsForApps({ BIND, PORT, API_AUTH }: Settings): number[] {
  return isLoopback(BIND) || PORT === 0 || API_AUTH === 'none' ? [] : [PORT];
}

/** What everybody gets unasked, everybody may ask for. */
function deployBounds(settings: Settings): Bounds {
  return {
    memoryBytes: Math.max(settings.MEMORY, settings.MEMORY_MAX),
    cpus: Math.max(settings.CPUS, settings.CPUS_MAX),
    pids: Math.max(settings.PIDS, settings.PIDS_MAX),
    readinessMs: Math.max(settings.START_TIMEOUT, LONGEST_READINESS_MS),
  };
}

function ownLogin(settings: Settings, { registry }: RegistryBase): { registry: string; username: string; password: string; email?: string } | undefined {
  if (!settings.DOCKER_AUTH) return undefined;
  const { DOCKER_AUTH_USERNAME: username, DOCKER_AUTH_PASSWORD: password, DOCKER_AUTH_EMAIL: email } = settings;
  if (username === undefined || password === undefined) throw new PipesError('invalid_request', 'DOCKER_AUTH is on; DOCKER_AUTH_USERNAME and DOCKER_AUTH_PASSWORD must be set too.');
  return { registry, username, password, ...(email === undefined ? {} : { email }) };
}

function perMs({ count, windowMs }: { count: number; windowMs: number }): { count: number; perMs: number } {
  return { count, perMs: windowMs };
}

/** What it needs of the machine while it serves, whoever it runs as. */
export function neededRights(settings: Settings): NeededRights {
  const engine = parseEngineAddress(settings.DOCKER_HOST);
  const tls = tlsDirectory(settings);
  return {
    configDir: settings.CONFIG_DIR,
    socket: engine?.kind === 'socket' ? engine.path : undefined,
    files: [loginsPath(settings), ...(tls === undefined ? [] : ['ca.pem', 'cert.pem', 'key.pem'].map((name) => join(tls, name)))],
    port: settings.PORT,
  };
}

function tlsDirectory(settings: Settings): string | undefined {
  return settings.DOCKER_TLS_VERIFY ? (settings.DOCKER_CERT_PATH ?? homePath('~/.docker')) : undefined;
}

function loginsPath(settings: Settings): string {
  return join(homePath(settings.DOCKER_CONFIG), 'config.json');
}

function homePath(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
