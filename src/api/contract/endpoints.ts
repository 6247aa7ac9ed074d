import { z } from 'zod';
import type { ErrorCode } from '../../core/errors.ts';
import { TargetConfig } from '../../targets/target-config.ts';
import { ContainerState, ListedContainer } from './container-state.ts';
import { ContainerStats } from './container-stats.ts';
import { Domains } from './domains.ts';
import { Health } from './health.ts';
import { PushesNoted, RegistryNotificationBody } from './registry-notification.ts';
import { MadeToken, NewToken, TokenEntry } from './tokens.ts';

/** What a caller's token must allow: `any` valid one will do, `everything` is admin or `read:*\/*`. */
export type NeededScope = 'none' | 'any' | 'read' | 'deploy' | 'everything' | 'admin';

export interface EndpointAnswer {
  readonly status: 200 | 201 | 202 | 204 | 503;
  readonly description: string;
  /** By content type; without any the answer has no body. */
  readonly content?: Readonly<Record<string, z.ZodType>>;
}

/** One endpoint of the API as the world is told of it. A test holds this table to what is routed. */
export interface Endpoint {
  /** `target`: below `/__proxyapi` of the target's host; `platform`: on a platform host, and below `/__proxyapi` there. */
  readonly place: 'target' | 'platform';
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** As the router has it. */
  readonly path: string;
  readonly scope: NeededScope;
  readonly summary: string;
  readonly query?: Readonly<Record<string, { readonly description: string; readonly schema: z.ZodType }>>;
  readonly body?: z.ZodType;
  readonly answers: readonly EndpointAnswer[];
  /** Codes that it can fail with, besides those of its scope, its query and its body. */
  readonly errors?: readonly ErrorCode[];
}

/** What can go wrong on the way up (INTERFACE 3). */
const WAKE_ERRORS: readonly ErrorCode[] = [
  'image_forbidden', 'image_not_found', 'tag_ambiguous', 'registry_denied', 'registry_unavailable', 'pull_timeout', 'engine_unavailable',
  'image_unusable', 'disk_full', 'instance_failed', 'instance_not_ready', 'queue_full', 'not_managed', 'shutting_down',
];
const STOP_ERRORS: readonly ErrorCode[] = ['engine_unavailable', 'not_managed'];

const flag = (description: string) => ({ description, schema: z.boolean().optional() });
const WAIT = { wait: flag('false: answers 202 at once with the state as it is then, and does the work in the background') };

const json = (status: EndpointAnswer['status'], description: string, schema: z.ZodType): EndpointAnswer => ({ status, description, content: { 'application/json': schema } });
const DONE: readonly EndpointAnswer[] = [json(200, 'The state once it is done.', ContainerState), json(202, 'With `wait=false`: the state now.', ContainerState)];

export const ENDPOINTS: readonly Endpoint[] = [
  { place: 'target', method: 'GET', path: '/container', scope: 'read', summary: 'The state of the container; `absent` when there is none', answers: [json(200, 'Its state.', ContainerState)] },
  { place: 'target', method: 'DELETE', path: '/container', scope: 'deploy', summary: 'Stop and remove the container; configuration and named volumes stay', query: WAIT, answers: DONE, errors: STOP_ERRORS },
  { place: 'target', method: 'POST', path: '/container/start', scope: 'deploy', summary: 'Wake it now, whatever failed before', query: WAIT, answers: DONE, errors: WAKE_ERRORS },
  { place: 'target', method: 'POST', path: '/container/stop', scope: 'deploy', summary: 'Stop it once its requests are done; the next request wakes it', query: WAIT, answers: DONE, errors: STOP_ERRORS },
  { place: 'target', method: 'GET', path: '/container/stop', scope: 'deploy', summary: 'The same, for clients that can only GET', query: WAIT, answers: DONE, errors: STOP_ERRORS },
  { place: 'target', method: 'POST', path: '/container/restart', scope: 'deploy', summary: 'Replace it by a new one of the image that its tag means now', query: WAIT, answers: DONE, errors: WAKE_ERRORS },
  { place: 'target', method: 'GET', path: '/container/config', scope: 'read', summary: 'The configuration of the container', answers: [json(200, 'As it was written; values of `env` only for who may deploy.', TargetConfig)] },
  { place: 'target', method: 'PUT', path: '/container/config', scope: 'deploy', summary: 'Replace the configuration; a running container is replaced at once', query: WAIT, body: TargetConfig, answers: DONE, errors: WAKE_ERRORS },
  {
    place: 'target',
    method: 'GET',
    path: '/container/logs',
    scope: 'read',
    summary: 'What the container writes to its standard output and error, line by line',
    query: {
      follow: flag('Go on with what is written from now on, until the container ends; a replacement is followed too'),
      tail: { description: 'Begin with so many of the last lines; `all`, the default, is everything that the engine keeps', schema: z.union([z.int().min(0), z.literal('all')]).optional() },
    },
    answers: [{ status: 200, description: 'Its output. As events each line is one, and an event `end` says that no more will come.', content: { 'text/plain': z.string(), 'text/event-stream': z.string() } }],
    errors: ['not_found', 'engine_unavailable'],
  },
  { place: 'target', method: 'GET', path: '/container/stats', scope: 'read', summary: 'What the container uses of the machine now', answers: [json(200, 'Its use, measured over about a second.', ContainerStats)], errors: ['not_found', 'engine_unavailable'] },
  { place: 'target', method: 'GET', path: '/repository/config', scope: 'read', summary: 'The default configuration of every tag of the repository', answers: [json(200, 'As it was written; values of `env` only for who may deploy.', TargetConfig)] },
  {
    place: 'target',
    method: 'PUT',
    path: '/repository/config',
    scope: 'deploy',
    summary: 'Replace that; containers take it at their next start',
    query: { ...WAIT, restart: flag('true: running containers of the repository are replaced at once') },
    body: TargetConfig,
    answers: DONE,
    errors: WAKE_ERRORS,
  },
  { place: 'platform', method: 'GET', path: '/', scope: 'none', summary: 'What this is, and its version', answers: [{ status: 200, description: '`pipes <version>`', content: { 'text/plain': z.string() } }] },
  { place: 'platform', method: 'GET', path: '/health', scope: 'none', summary: 'Whether it can forward; on hosts that are IP addresses too', answers: [json(200, '`ok`, or `degraded` with reasons.', Health), json(503, '`starting` or `stopping`.', Health)] },
  { place: 'platform', method: 'GET', path: '/metrics', scope: 'everything', summary: 'Metrics of this process, in the text format of Prometheus', answers: [{ status: 200, description: 'Every name begins with `pipes_`.', content: { 'text/plain': z.string() } }] },
  { place: 'platform', method: 'GET', path: '/openapi.json', scope: 'none', summary: 'This description', answers: [json(200, 'OpenAPI 3.1.', z.looseObject({ openapi: z.string() }))] },
  { place: 'platform', method: 'GET', path: '/containers', scope: 'any', summary: 'Every container that the token may read, by reference', answers: [json(200, 'Their states, and the memory that each holds.', z.array(ListedContainer))] },
  {
    place: 'platform',
    method: 'POST',
    path: '/webhooks/registry',
    scope: 'deploy',
    summary: "A registry tells of pushes: Docker's registry, Docker Hub or GitHub's",
    query: { secret: { description: '`WEBHOOK_SECRET`, or a token, for registries that can send no header. GitHub signs the body instead (`X-Hub-Signature-256`)', schema: z.string().optional() } },
    body: RegistryNotificationBody,
    answers: [json(202, 'What will be compared with the registry, and replaced where its tag has moved.', PushesNoted)],
  },
  { place: 'platform', method: 'GET', path: '/apps/:user/:repo/domains', scope: 'read', summary: 'The host names that are bound to the repository', answers: [json(200, 'In order.', Domains)], errors: ['not_found'] },
  {
    place: 'platform',
    method: 'PUT',
    path: '/apps/:user/:repo/domains',
    scope: 'deploy',
    summary: 'Bind these host names to it, with its default tag, and no others: all or none',
    body: Domains,
    answers: [json(200, 'Those that are bound now.', Domains)],
    errors: ['not_found', 'domain_forbidden', 'domain_taken', 'disk_full', 'shutting_down'],
  },
  { place: 'platform', method: 'GET', path: '/tokens', scope: 'admin', summary: 'The tokens there are, without their texts', answers: [json(200, 'By name.', z.array(TokenEntry))] },
  { place: 'platform', method: 'POST', path: '/tokens', scope: 'admin', summary: 'Make a token', body: NewToken, answers: [json(201, 'The token: the only time that its text is shown.', MadeToken)] },
  { place: 'platform', method: 'DELETE', path: '/tokens/:name', scope: 'admin', summary: 'End a token at once', answers: [{ status: 204, description: 'It opens nothing any more.' }], errors: ['not_found'] },
];
