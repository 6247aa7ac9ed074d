import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import Router from '@koa/router';
import Koa, { type Next } from 'koa';
import { PipesError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { InstanceControl } from '../instances/instance-control.ts';
import type { InstanceOutput } from '../instances/instance-output.ts';
import type { InstanceUsage } from '../instances/instance-usage.ts';
import type { ConfigRights } from '../security/api/config-rights.ts';
import type { Credentials } from '../security/api/credentials.ts';
import type { WebhookSecret } from '../security/api/webhook-secret.ts';
import type { PasswordHasher } from '../security/proxy/password-hasher.ts';
import type { RouteTable } from '../targets/route-table.ts';
import type { TargetConfigStore } from '../targets/target-config-store.ts';
import type { ApiContext, ApiState, LocalPlace } from './api-context.ts';
import { routeAppDomains } from './app-domains.ts';
import { Authentication, type ClientOf } from './authenticate.ts';
import { Background } from './background.ts';
import { routeContainerConfig } from './container-config.ts';
import { routeContainerLogs } from './container-logs.ts';
import { routeContainerStats } from './container-stats.ts';
import { routeContainer } from './container.ts';
import { routeContainers } from './containers.ts';
import { drawErrors } from './errors.ts';
import { routeMetrics, type MetricsSource } from './metrics.ts';
import { routeOpenApi } from './openapi.ts';
import { routePlatform, type HealthSource } from './platform.ts';
import { routeRegistryWebhook, type PushListener } from './registry-webhook.ts';
import { routeRepositoryConfig } from './repository-config.ts';
import { routeTokens } from './tokens.ts';

export interface ApiOptions {
  /** Of pipes, as `package.json` has it. */
  readonly version: string;
  readonly control: InstanceControl;
  readonly configs: TargetConfigStore;
  readonly routes: RouteTable;
  readonly credentials: Credentials;
  readonly rights: ConfigRights;
  readonly passwordHasher: Pick<PasswordHasher, 'hash'>;
  readonly health: HealthSource;
  readonly output: InstanceOutput;
  readonly usage: InstanceUsage;
  readonly metrics: MetricsSource;
  readonly pushes: PushListener;
  readonly webhookSecret: WebhookSecret;
  readonly log: Log;
  /** Time of day, in milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly clientOf: ClientOf;
  /** Longest that a body may take to arrive. */
  readonly bodyTimeoutMs: number;
}

/**
 * The API of targets (INTERFACE 4) and of the platform (INTERFACE 5), as the proxy's handler for what it does not forward. It
 * keeps nothing per client: no cookie, no session.
 */
export class Api {
  readonly #background: Background;
  readonly #handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly #routers: Routers;
  readonly #places = new WeakMap<IncomingMessage, LocalPlace>();

  constructor(options: ApiOptions) {
    this.#background = new Background(options.log);
    const authentication = new Authentication(options.credentials, options.clientOf);
    this.#routers = {
      targets: [mount(targetRouter(options, authentication, this.#background))],
      platforms: [mount(platformRouter(options, authentication, TARGET_PREFIX)), mount(platformRouter(options, authentication))],
    };
    this.#handle = makeApp(options.log, authentication, this.#routers, (request) => this.#places.get(request)!).callback();
  }

  request(request: IncomingMessage, response: ServerResponse, place: LocalPlace): void {
    this.#places.set(request, place);
    void this.#handle(request, response); // Koa answers every failure itself; this never rejects.
  }

  /** Nothing here can be upgraded to yet. */
  upgrade(_request: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  }

  /** Everything that is answered here, each as it is asked for where it stands. */
  get routes(): readonly ApiRoute[] {
    const { targets, platforms } = this.#routers;
    const list = (routers: readonly Mounted[], place: LocalPlace['kind']): ApiRoute[] =>
      routers.flatMap(({ router }) => router.stack.flatMap(({ methods, path }) => methods.map((method) => ({ place, method, path: String(path) }))));
    return [...list(targets, 'target'), ...list(platforms, 'platform')];
  }

  /** Resolves when all work that was answered with 202 has ended. */
  async settled(): Promise<void> {
    await this.#background.settled();
  }
}

/** Everything of pipes' own on a target's host stands below this path; the rest belongs to the app. */
const TARGET_PREFIX = '/__proxyapi';

function makeApp(log: Log, authentication: Authentication, { targets, platforms }: Routers, placeOf: (request: IncomingMessage) => LocalPlace): Koa<ApiState> {
  const app = new Koa<ApiState>();
  // Koa tells of connections that broke under an answer; there is nobody left to tell.
  app.on('error', (error: unknown) => log.debug({ err: error }, 'A client of the API went away'));
  app.use(async (ctx, next) => {
    ctx.state = { place: placeOf(ctx.req) };
    ctx.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    await next();
    // Whoever asked leave to send a body and did not get it may send it or not (RFC 9110, 10.1.1): nothing can follow here.
    if (ctx.get('expect') !== '' && !ctx.state.hasContinued && !ctx.res.headersSent) ctx.set('Connection', 'close');
  });
  app.use(drawErrors(log));
  app.use(async (ctx, next) => {
    if (ctx.state.place.kind === 'target' && authentication.isStrangerPage(ctx)) {
      ctx.status = 404;
      ctx.body = 'Not Found\n';
      return;
    }
    await dispatch(ctx.state.place.kind === 'target' ? targets : platforms, ctx, next);
  });
  return app;
}

function targetRouter(options: ApiOptions, authentication: Authentication, background: Background): Router<ApiState> {
  const router = makeRouter(TARGET_PREFIX);
  const { control, configs, rights, passwordHasher, bodyTimeoutMs } = options;
  const parts = { control, configs, rights, passwordHasher, authentication, background, bodyTimeoutMs };
  routeContainer(router, parts);
  routeContainerConfig(router, parts);
  routeContainerLogs(router, parts, options.output);
  routeContainerStats(router, parts, options.usage);
  routeRepositoryConfig(router, parts);
  return router;
}

function platformRouter(options: ApiOptions, authentication: Authentication, prefix?: string): Router<ApiState> {
  const router = makeRouter(prefix);
  const { control, configs, usage, credentials, bodyTimeoutMs, nowMs } = options;
  routePlatform(router, options.version, options.health);
  routeMetrics(router, options.metrics, authentication);
  routeOpenApi(router, options.version);
  routeContainers(router, { control, configs, usage, authentication });
  routeRegistryWebhook(router, { pushes: options.pushes, secret: options.webhookSecret, authentication, bodyTimeoutMs });
  routeAppDomains(router, { routes: options.routes, authentication, bodyTimeoutMs });
  routeTokens(router, { credentials, authentication, bodyTimeoutMs, nowMs });
  return router;
}

function makeRouter(prefix: string | undefined): Router<ApiState> {
  return new Router<ApiState>({ sensitive: true, ...(prefix === undefined ? {} : { prefix }) });
}

/** One thing that can be asked of the API. */
export interface ApiRoute {
  readonly place: LocalPlace['kind'];
  readonly method: string;
  /** As the router has it: `/tokens/:name`. */
  readonly path: string;
}

/** What a request may meet, by where it was sent. */
interface Routers {
  readonly targets: readonly Mounted[];
  readonly platforms: readonly Mounted[];
}

/** A router, ready to run. */
interface Mounted {
  readonly router: Router<ApiState>;
  readonly run: (ctx: ApiContext, next: Next) => Promise<void>;
}

function mount(router: Router<ApiState>): Mounted {
  return { router, run: router.routes() as unknown as Mounted['run'] };
}

/** Runs the first router that knows the path; 404 where none does, 405 where only the method is not known. */
async function dispatch(routers: readonly Mounted[], ctx: ApiContext, next: Next): Promise<void> {
  for (const { router, run } of routers) {
    const { path, route } = router.match(ctx.path, ctx.method);
    if (route) {
      await run(ctx, next);
      return;
    }
    if (path.length === 0) continue;
    ctx.set('Allow', [...new Set(path.flatMap((layer) => layer.methods))].join(', '));
    throw new PipesError('method_not_allowed', `${ctx.method} does nothing here; "Allow" names what does.`);
  }
  throw new PipesError('not_found', `There is no ${ctx.path} here.`);
}
