import { z } from 'zod';
import { ERROR_TABLE, type ErrorCode } from '../core/errors.ts';
import { TargetConfig } from '../targets/target-config.ts';
import { ContainerState, ListedContainer } from './contract/container-state.ts';
import { ContainerStats } from './contract/container-stats.ts';
import { ENDPOINTS, type Endpoint, type NeededScope } from './contract/endpoints.ts';
import { Domains } from './contract/domains.ts';
import { Fault } from './contract/faults.ts';
import { Health } from './contract/health.ts';
import { ProblemDocument } from './contract/problem-document.ts';
import { MadeToken, NewToken, TokenEntry } from './contract/tokens.ts';
import { WakeTiming } from './contract/wake-timing.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The API as OpenAPI 3.1 describes it, made from the very schemas that check it. That version's schemas are JSON Schema, which zod
 * writes by itself, so no package stands between (zod-openapi 5 would; its line for Node 20 is no longer worked on).
 */
export function openApiDocument(version: string): JsonObject {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of ENDPOINTS) {
    const path = documentedPath(endpoint);
    paths[path] ??= { servers: endpoint.place === 'target' ? TARGET_SERVERS : PLATFORM_SERVERS };
    paths[path][endpoint.method.toLowerCase()] = operation(endpoint);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'pipes',
      version,
      summary: 'A name in the address bar runs an image.',
      description: 'Paths that begin with `/__proxyapi/container` or `/__proxyapi/repository` stand on the host of the target that they are about; all others on a platform host, where they can be asked for below `/__proxyapi` too.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'A token of pipes. Its scopes are `admin`, `deploy:<pattern>` and `read:<pattern>` over `user/repo`.' } },
    },
  };
}

/** Where an endpoint stands in the document: `/__proxyapi/container`, `/tokens/{name}`. */
export function documentedPath({ place, path }: Pick<Endpoint, 'place' | 'path'>): string {
  return `${place === 'target' ? '/__proxyapi' : ''}${path.replaceAll(/:(\w+)/g, '{$1}')}`;
}

const TARGET_SERVERS = [
  {
    url: '{scheme}://{target}.{base}',
    description: 'The host of a target.',
    variables: {
      scheme: { default: 'http', enum: ['http', 'https'] },
      target: { default: 'main.web.alice', description: '`<tag>.<repo>.<user>`, or `<tag>--<repo>--<user>`' },
      base: { default: 'localhost:8080', description: 'The domain of this pipes, with its port' },
    },
  },
];
const PLATFORM_SERVERS = [{ url: '/', description: 'A platform host, such as the one that this came from.' }];

const SCOPE_TEXTS: Readonly<Record<NeededScope, string>> = {
  none: 'No token is needed.',
  any: 'Any valid token will do; what it may not read is left out.',
  read: 'Needs a token with the scope `read` or `deploy` over the repository, or `admin`.',
  deploy: 'Needs a token with the scope `deploy` over the repository, or `admin`.',
  everything: 'Needs a token with the scope `admin` or `read:*/*`.',
  admin: 'Needs a token with the scope `admin`.',
};

function operation(endpoint: Endpoint): JsonObject {
  const { method, summary, scope, body, answers } = endpoint;
  const parameters = [...pathParameters(endpoint), ...queryParameters(endpoint)];
  return {
    operationId: operationId(endpoint),
    tags: [endpoint.place],
    summary,
    description: SCOPE_TEXTS[scope],
    security: scope === 'none' ? [] : [{ token: [] }],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body && method !== 'GET' ? { requestBody: { required: true, content: { 'application/json': { schema: reference(body) } } } } : {}),
    responses: { ...Object.fromEntries(answers.map((answer) => [answer.status, { description: answer.description, ...content(answer.content) }])), ...problems(endpoint) },
  };
}

function operationId({ place, method, path }: Endpoint): string {
  const words = path.replaceAll(':', '').split(/[/.]/).filter((word) => word !== '');
  return [place, method.toLowerCase(), ...words].join('-');
}

function pathParameters({ path }: Endpoint): JsonObject[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
}

function queryParameters({ query = {} }: Endpoint): JsonObject[] {
  return Object.entries(query).map(([name, { description, schema }]) => ({ name, in: 'query', required: false, description, schema: reference(schema) }));
}

function content(schemas: Readonly<Record<string, z.ZodType>> | undefined): JsonObject {
  if (!schemas) return {};
  return { content: Object.fromEntries(Object.entries(schemas).map(([type, schema]) => [type, { schema: reference(schema) }])) };
}

/** Its failures by status, each with the codes that can stand there. */
function problems(endpoint: Endpoint): JsonObject {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codesOf(endpoint)) byStatus.set(ERROR_TABLE[code].status, [...(byStatus.get(ERROR_TABLE[code].status) ?? []), code]);
  const drawn = [...byStatus].map(([status, codes]) => [status, { description: codes.map((code) => `\`${code}\`: ${ERROR_TABLE[code].title}.`).join(' '), content: { 'application/problem+json': { schema: PROBLEM } } }]);
  return Object.fromEntries(drawn) as JsonObject;
}

function codesOf({ place, scope, query, body, errors = [] }: Endpoint): Set<ErrorCode> {
  const codes: ErrorCode[] = [];
  if (query || body) codes.push('invalid_request');
  if (body) codes.push('body_too_large', 'request_timeout');
  if (scope !== 'none') codes.push('unauthorized', 'rate_limited');
  if (scope !== 'none' && scope !== 'any') codes.push('forbidden');
  if (place === 'target') codes.push('host_malformed');
  return new Set([...codes, ...errors, 'internal']);
}

/** Schemas with a name of their own; all others are written where they are used. */
const NAMED: Readonly<Record<string, z.ZodType>> = { ContainerState, ListedContainer, ContainerStats, WakeTiming, TargetConfig, Problem: ProblemDocument, Fault, Health, Domains, NewToken, MadeToken, TokenEntry };
const PROBLEM = { $ref: '#/components/schemas/Problem' };

const refOf = (id: string): string => `#/components/schemas/${id}`;

function registry(): z.core.$ZodRegistry<{ id: string }> {
  const named = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED)) named.add(schema, { id });
  return named;
}

/** As a client sends and reads them: what a newer pipes adds to an answer is no fault, so nothing else is closed than what is checked. */
function componentSchemas(): JsonObject {
  const { schemas } = z.toJSONSchema(registry(), { uri: refOf, io: 'input' });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]));
}

function reference(schema: z.ZodType): JsonObject {
  const id = Object.keys(NAMED).find((name) => NAMED[name] === schema);
  if (id !== undefined) return { $ref: refOf(id) };
  if (schema instanceof z.ZodArray) return { type: 'array', items: reference(schema.element as z.ZodType) };
  return bare(z.toJSONSchema(schema, { io: 'input' }));
}

/** Without what only a document of its own needs. */
function bare(schema: object): JsonObject {
  const { $schema: _schema, $id: _id, '~standard': _standard, ...rest } = schema as Record<string, unknown>;
  return rest;
}
