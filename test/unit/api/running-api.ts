import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Api } from '../../../src/api/api.ts';
import type { LocalPlace } from '../../../src/api/api-context.ts';
import type { TagPush } from '../../../src/api/contract/registry-notification.ts';
import type { Fault } from '../../../src/api/contract/faults.ts';
import type { Health } from '../../../src/api/contract/health.ts';
import { PipesError } from '../../../src/core/errors.ts';
import { silentLog, type Log } from '../../../src/core/log.ts';
import type { InstanceControl, InstanceReport } from '../../../src/instances/instance-control.ts';
import { InstanceOutput } from '../../../src/instances/instance-output.ts';
import { InstanceUsage } from '../../../src/instances/instance-usage.ts';
import { ConfigRights } from '../../../src/security/api/config-rights.ts';
import { Credentials } from '../../../src/security/api/credentials.ts';
import { PasswordHasher } from '../../../src/security/proxy/password-hasher.ts';
import { Policy } from '../../../src/security/proxy/policy.ts';
import { parseScope } from '../../../src/security/api/scopes.ts';
import { WebhookSecret } from '../../../src/security/api/webhook-secret.ts';
import type { StoredToken, TokenStore } from '../../../src/security/api/token-store.ts';
import { parseHostName } from '../../../src/targets/host-name.ts';
import { parseReference, printReference, type Reference } from '../../../src/targets/reference.ts';
import type { TargetConfigStore } from '../../../src/targets/target-config-store.ts';
import type { TargetConfig } from '../../../src/targets/target-config.ts';
import { FakeBackend } from '../../fakes/fake-backend.ts';
import { routeTable } from '../../fakes/memory-domains.ts';

/** Instances that do what they are told, at once. */
export class FakeControl implements InstanceControl {
  readonly calls: string[] = [];
  readonly instances = new Map<string, Partial<InstanceReport>>();
  /** What the next command does before its state changes: wait, or fail. */
  next: (() => Promise<void>) | undefined;

  canonical(reference: Reference): Reference {
    const known = [...this.instances.keys()].find((key) => key.toLowerCase() === printReference(reference).toLowerCase());
    return known === undefined ? reference : parseReference(known);
  }
  report(reference: Reference): InstanceReport {
    const key = printReference(reference);
    return {
      reference: key, image: `docker.io/${key}`, digest: null, state: 'absent', containerId: null, managed: true,
      startedAt: null, lastUsedAt: null, inFlight: 0, upstream: null, error: null, lastWake: null, ...this.instances.get(key),
    };
  }
  reports(): InstanceReport[] {
    return [...this.instances.keys()].map((key) => this.report(parseReference(key)));
  }
  start = (reference: Reference): Promise<void> => this.#do('start', reference, 'running');
  stop = (reference: Reference): Promise<void> => this.#do('stop', reference, 'stopped');
  restart = (reference: Reference): Promise<void> => this.#do('restart', reference, 'running');
  remove = async (reference: Reference): Promise<void> => {
    await this.#do('remove', reference, 'absent');
    this.instances.delete(printReference(reference));
  };
  reconfigure = (reference: Reference): Promise<void> => this.#do('reconfigure', reference, this.report(reference).state);
  assertManaged(reference: Reference): void {
    if (!this.report(reference).managed) throw new PipesError('not_managed', 'Someone started it by hand.');
  }

  async #do(name: string, reference: Reference, state: InstanceReport['state']): Promise<void> {
    const key = printReference(reference);
    this.calls.push(`${name} ${key}`);
    const work = this.next;
    this.next = undefined;
    await work?.();
    this.instances.set(key, { ...this.instances.get(key), state });
  }
}

export class MemoryStore implements TargetConfigStore, TokenStore {
  readonly revision = 0;
  readonly containers = new Map<string, TargetConfig>();
  readonly repositories = new Map<string, TargetConfig>();
  readonly kept = new Map<string, StoredToken>();
  container = (reference: string): TargetConfig | undefined => this.containers.get(reference);
  repository = (repository: string): TargetConfig | undefined => this.repositories.get(repository);
  configuredReferences = (): string[] => [...this.containers.keys()];
  setContainer = (reference: string, config: TargetConfig): Promise<void> => Promise.resolve(void this.containers.set(reference, config));
  setRepository = (repository: string, config: TargetConfig): Promise<void> => Promise.resolve(void this.repositories.set(repository, config));
  tokens = (): readonly StoredToken[] => [...this.kept.values()];
  putToken = (token: StoredToken): Promise<void> => Promise.resolve(void this.kept.set(token.name, token));
  removeToken = (name: string): Promise<boolean> => Promise.resolve(this.kept.delete(name));
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON; undefined when it is none. */
  readonly json: { readonly [member: string]: unknown; readonly faults?: readonly Fault[]; readonly token?: string } | undefined;
  /** Where its faults are, sorted, each once. */
  readonly faultPaths: readonly string[];
}

export interface Ask {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: unknown;
  /** `user/repo:tag` of the host that is asked; else the platform. */
  readonly on?: string;
}

/**
 * The API on a real server at a port of its own, over fakes of its ports. As no proxy stands before it, the place comes in a
 * header, or is read off a `*.localhost` host.
 */
export class RunningApi {
  readonly control = new FakeControl();
  readonly store = new MemoryStore();
  readonly backend = new FakeBackend();
  readonly credentials: Credentials;
  readonly server: http.Server;
  readonly api: Api;
  readonly logged: unknown[] = [];
  /** `user/repo:tag` of targets that run, and so are refreshed; of those that sleep. */
  readonly uses: { running: string[]; asleep: string[] } = { running: [], asleep: [] };
  readonly pushed: string[] = [];
  health: Health = { status: 'ok', reasons: [] };

  constructor(options: { isOpen?: boolean; apiToken?: string; bodyTimeoutMs?: number; memoryTimeoutMs?: number; webhookSecret?: string } = {}) {
    this.credentials = new Credentials({ store: this.store, apiToken: options.apiToken, isOpen: options.isOpen ?? false, nowMs: () => Date.now() });
    const log = Object.assign(Object.create(silentLog) as Log, { error: (entry: unknown) => this.logged.push(entry), warn: (entry: unknown) => this.logged.push(entry) });
    this.api = new Api({
      version: '1.2.3',
      control: this.control,
      configs: this.store,
      routes: routeTable(),
      credentials: this.credentials,
      passwordHasher: new PasswordHasher(),
      rights: new ConfigRights(Policy.from('alice/*', 'alice/secret')!, { registry: 'docker.io', prefix: '' }, { memoryBytes: 2 ** 31, cpus: 4, pids: 2048, readinessMs: 600_000 }),
      health: { health: () => this.health },
      output: new InstanceOutput({ control: this.control, backend: this.backend }),
      usage: new InstanceUsage({ backend: this.backend, memoryTimeoutMs: options.memoryTimeoutMs ?? 2000 }),
      metrics: { contentType: 'text/plain; version=0.0.4; charset=utf-8', render: () => Promise.resolve('pipes_engine_up 1\n') },
      pushes: { notePush: (push, mayTouch) => this.notePush(push, mayTouch) },
      webhookSecret: new WebhookSecret(options.webhookSecret),
      log,
      nowMs: () => Date.now(),
      clientOf: (request) => request.socket.remoteAddress ?? '',
      bodyTimeoutMs: options.bodyTimeoutMs ?? 5000,
    });
    const handle = (request: http.IncomingMessage, response: http.ServerResponse): void => this.api.request(request, response, placeOf(request));
    this.server = http.createServer(handle).on('checkContinue', handle); // as the proxy's server
    this.server.on('upgrade', (_request, socket) => this.api.upgrade(_request, socket));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    await this.api.settled();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.backend.close();
  }

  private notePush({ repository, tag }: TagPush, mayTouch: (reference: Reference) => boolean): { refreshing: string[]; atNextWake: string[] } {
    const name = `${repository}:${tag}`;
    this.pushed.push(name);
    const touched = (names: string[]): string[] => names.filter((each) => each === name && mayTouch(parseReference(each)));
    return { refreshing: touched(this.uses.running), atNextWake: touched(this.uses.asleep) };
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The text of a token with these scopes. */
  async token(...scopes: string[]): Promise<string> {
    return await this.credentials.makeToken(`t${this.store.kept.size}`, scopes.map((scope) => parseScope(scope)!), undefined);
  }

  async ask(path: string, ask: Ask = {}): Promise<Answer> {
    const headers: http.OutgoingHttpHeaders = { ...ask.headers, ...(ask.on === undefined ? {} : { 'x-test-target': ask.on }) };
    if (ask.token !== undefined) headers['authorization'] = `Bearer ${ask.token}`;
    return await new Promise((resolve, reject) => {
      const request = http.request({ port: this.port, host: '127.0.0.1', path, method: ask.method ?? 'GET', headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const json = parse(text);
          const faultPaths = [...new Set((json?.faults ?? []).map(({ path }) => path))].sort();
          resolve({ status: response.statusCode!, headers: response.headers, text, json, faultPaths });
        });
      });
      request.on('error', reject);
      request.end(ask.body === undefined ? undefined : Buffer.isBuffer(ask.body) || typeof ask.body === 'string' ? ask.body : JSON.stringify(ask.body));
    });
  }
}

function placeOf(request: http.IncomingMessage): LocalPlace {
  const target = request.headers['x-test-target'];
  if (typeof target === 'string') return { kind: 'target', reference: parseReference(target) };
  const name = parseHostName(request.headers.host ?? '', { domains: [], domainLevels: undefined, platformHosts: [] });
  return name.kind === 'reference' ? { kind: 'target', reference: name.reference } : { kind: 'platform' };
}

function parse(text: string): Answer['json'] {
  try {
    return JSON.parse(text) as Answer['json'];
  } catch {
    return undefined;
  }
}
