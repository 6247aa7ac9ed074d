import http from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningApi } from '../unit/api/running-api.ts';
import { check, within } from './fuzzing.ts';
import { anyBytes, anyJson, bent, broken, oddText, textOf } from './inputs.ts';

const WEB = 'alice/web:main';
let api: RunningApi;
let tokens: string[];
let routes: { method: string; path: string; isTarget: boolean }[];

beforeAll(async () => {
  api = new RunningApi({ bodyTimeoutMs: 500, webhookSecret: 'a-secret-of-webhooks' });
  await api.start();
  api.control.instances.set(WEB, { state: 'running', containerId: 'c1', startedAt: new Date(0) });
  tokens = ['', 'Bearer nonsense', `Bearer ${await api.token('admin')}`, `Bearer ${await api.token('deploy:alice')}`, `Bearer ${await api.token('read:alice')}`, 'Basic Og==', 'Bearer a-secret-of-webhooks'];
  routes = api.api.routes.map(({ method, path, place }) => ({ method, path, isTarget: place === 'target' }));
});
afterAll(() => api.stop());

const config = { port: 3000, env: { A: 'b' }, command: ['run'], user: 'app', workdir: '/app', volumes: ['data:/data:ro', 'external:x:/y', '/etc:/z'], memory: '256m', cpus: 0.5, pids: 10, readiness: { path: '/up', timeout: '5s' }, idle: { pause: '1m', stop: 'off' }, wait: 'hold', replace: 'overlap', labels: { 'com.example': 'x' }, image: 'alice/web:v1', pull: 'missing' };
const newToken = { name: 'ci', scopes: ['deploy:alice/*', 'read:*'], expires: '30d' };
const push = { events: [{ action: 'push', target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', repository: 'alice/web', tag: 'main', digest: 'sha256:x' } }] };
const hub = { push_data: { tag: 'main' }, repository: { repo_name: 'alice/web' } };
const github = { action: 'published', registry_package: { name: 'web', namespace: 'alice', package_type: 'CONTAINER', package_version: { container_metadata: { tag: { name: 'main', digest: 'x' } } } } };

const json = fc.oneof(...[config, newToken, push, hub, github].map(bent), anyJson).map((document) => Buffer.from(textOf(document)));
const body = fc.oneof(
  { weight: 6, arbitrary: json },
  { weight: 2, arbitrary: fc.constantFrom(config, newToken, push, hub, github).chain((document) => broken(Buffer.from(JSON.stringify(document)))) },
  { weight: 1, arbitrary: anyBytes },
  { weight: 1, arbitrary: fc.constantFrom('['.repeat(200_000), `{"env":{${'"a":"b",'.repeat(50_000)}"a":"b"}}`, `{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":1`).join(',')}}`, `{"a":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_001)}`, 'x'.repeat(1_100_000), '\ufeff{}', '{"port":1e999}', '{"expires":"2030-01-01T00:00:00.1Z","name":"x","scopes":["admin"]}').map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.constantFrom(Buffer.from(JSON.stringify(config), 'utf16le'), Buffer.from([0xff, 0xfe]), Buffer.from('{"env":{"A":"\xff"}}', 'latin1'), Buffer.alloc(0)) },
);
const headerText = oddText.map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').slice(0, 1000));
const headers = fc.dictionary(fc.constantFrom('content-type', 'content-encoding', 'accept', 'expect', 'sec-fetch-site', 'x-hub-signature-256', 'x-forwarded-for', 'x-pipes-token', 'cookie', 'if-none-match', 'range'), fc.oneof(headerText, fc.constantFrom('gzip', 'identity', 'application/json; charset=utf-16', '100-continue', 'cross-site', 'same-origin', `sha256=${'0'.repeat(64)}`, 'text/event-stream', 'bytes=0-1')), { maxKeys: 3 });
const pathText = oddText.map((text) => encodeURI(Buffer.from(text).toString()).slice(0, 2000).replaceAll('#', '%23'));
const query = fc.oneof(fc.constant(''), fc.tuple(fc.constantFrom('wait', 'restart', 'follow', 'tail', 'secret', '__proto__', 'a[b]', ''), fc.oneof(pathText, fc.constantFrom('true', 'false', '', '-1', '1e9', '99999999999', '%', '%ff', '&wait=x'))).map(([name, value]) => `?${name}=${value}`), pathText.map((text) => `?${text}`));

interface Sent {
  readonly status: number;
  readonly text: string;
}

/** Undefined where the server cut a connection that no HTTP client would have used so. */
function send(method: string, path: string, given: http.OutgoingHttpHeaders, bytes: Buffer): Promise<Sent | undefined> {
  return new Promise((resolve) => {
    const request = http.request({ port: api.port, host: '127.0.0.1', method, path, headers: given, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        // Output that is followed has no end.
        if (response.headers['content-type']?.startsWith('text/event-stream')) response.destroy();
      });
      response.on('error', () => undefined);
      response.on('close', () => resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', () => resolve(undefined));
    request.end(bytes);
  });
}

describe('the API', () => {
  it('answers whatever it is asked in time, and never with a fault of its own', async () => {
    await check(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.oneof(fc.constant(undefined), pathText), query, headers, body, fc.constantFrom(undefined, 'GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE'), async (which, who, odd, search, given, bytes, otherMethod) => {
        const route = routes[which % routes.length]!;
        const base = route.path.includes(':') || odd === undefined ? route.path.replace(/:\w+/g, odd ?? 'x') : `${route.path}/${odd}`;
        const method = otherMethod ?? route.method;
        const authorization = tokens[who % tokens.length]!;
        const all = { ...given, ...(authorization === '' ? {} : { authorization }), ...(route.isTarget ? { 'x-test-target': WEB } : { host: 'pipes.localhost' }) };
        const before = api.logged.length;
        const answer = await within(20_000, `${method} ${base}${search}`, send(method, `${base}${search}`, all, bytes));
        const about = `${method} ${base}${search} ${authorization} ${JSON.stringify(given)}: ${JSON.stringify(api.logged.slice(before), (_key, value: unknown) => (value instanceof Error ? value.stack : value))}`;
        expect(api.logged.length, about).toBe(before);
        if (!answer || answer.status < 400 || method === 'HEAD') return;
        expect(answer.status, about).toBeLessThan(500);
        if (answer.text === 'Not Found\n' || answer.text === '') return;
        expect(JSON.parse(answer.text), about).toMatchObject({ status: answer.status, code: expect.stringMatching(/^(?!internal$)[a-z_]+$/) as string });
      }),
      600,
    );
    expect((await api.ask('/health', { headers: { host: 'pipes.localhost' } })).status).toBe(200);
  });

  it('keeps what it took, whole: a configuration is read back as it was written', async () => {
    const admin = tokens[2]!;
    await check(
      fc.asyncProperty(bent(config), async (document) => {
        const text = textOf(document);
        const target = { 'x-test-target': WEB, authorization: admin };
        const put = await within(20_000, 'PUT', send('PUT', '/__proxyapi/container/config', target, Buffer.from(text)));
        if (put?.status !== 200) return;
        const got = await within(20_000, 'GET', send('GET', '/__proxyapi/container/config', target, Buffer.alloc(0)));
        expect(JSON.parse(got!.text)).toEqual(JSON.parse(text));
      }),
      200,
    );
  });
});
