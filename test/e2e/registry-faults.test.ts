import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { openFaultyRegistry, type FaultyRegistry, type RegistryFault } from '../lab/faulty-registry.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

const PULL_TIMEOUT_MS = 6_000;
const containers = new EngineContainers(useLab().dockerHost);
let engine: CountingEngine;
let registry: FaultyRegistry;
let apps: Apps;
let pipes: PipesProcess;

beforeAll(async () => {
  [engine, registry] = await Promise.all([countCalls(useLab().dockerHost), openFaultyRegistry(useLab().openRegistry)]);
  apps = new Apps('regfault', { registry: registry.host });
  pipes = await startPipes({ dockerHost: engine.dockerHost, env: { REGISTRY: registry.host, PULL_TIMEOUT: `${PULL_TIMEOUT_MS}ms`, PULL_CONCURRENCY: '30' } });
});
afterAll(async () => {
  await pipes.stop();
  await apps.images.removeAllFrom([registry.host]);
  await Promise.all([registry.close(), engine.close()]);
});

const visit = (app: App) => request(pipes.port, { host: app.host, timeoutMs: 60_000 });
const MANIFEST = 'manifests/';
/** The layer of random bytes and the image's configuration; the layer below is on the engine already. */
const BLOB = 'blobs/';

interface Case {
  readonly name: string;
  readonly at: string;
  readonly fault: RegistryFault;
  /** How it may show: what the engine says of a fault differs with its version, and with how long it tries again by itself. */
  readonly codes: readonly string[];
}

const HANGS = ['pull_timeout'];
const FAILS = ['registry_unavailable', 'pull_timeout'];
const CASES: readonly Case[] = [
  { name: 'never-answers', at: MANIFEST, fault: { kind: 'silence' }, codes: HANGS },
  { name: 'hangs-in-manifest', at: MANIFEST, fault: { kind: 'hang-after', bytes: 100 }, codes: HANGS },
  { name: 'hangs-in-layer', at: BLOB, fault: { kind: 'hang-after', bytes: 200 }, codes: HANGS },
  { name: 'silent-at-layer', at: BLOB, fault: { kind: 'silence' }, codes: HANGS },
  { name: 'resets', at: MANIFEST, fault: { kind: 'reset' }, codes: FAILS },
  { name: 'resets-at-layer', at: BLOB, fault: { kind: 'reset' }, codes: FAILS },
  { name: 'half-a-manifest', at: MANIFEST, fault: { kind: 'cut-after', bytes: 100 }, codes: FAILS },
  { name: 'half-a-layer', at: BLOB, fault: { kind: 'cut-after', bytes: 200 }, codes: FAILS },
  { name: 'wrong-layer', at: BLOB, fault: { kind: 'tamper' }, codes: FAILS },
  ...[429, 500, 503].map((status) => ({ name: `always-${status}`, at: MANIFEST, fault: { kind: 'status', status, times: Infinity } as const, codes: FAILS })),
  { name: 'always-500-at-layer', at: BLOB, fault: { kind: 'status', status: 500, times: Infinity }, codes: FAILS },
];

describe('a registry that', () => {
  it.concurrent.each(CASES)('$name fails each who waits in the same way, by name and in time, once; then it works', async ({ name, at, fault, codes }) => {
    const app = await apps.publish(name, { from: 'tiny', ballastBytes: 300_000 });
    const path = new RegExp(`/${name}/${at}`);
    registry.set(path, fault);
    const pulls = () => engine.urls().filter((url) => url.includes('/images/create?') && decodeURIComponent(url).includes(`/${name}&`)).length;
    const startedMs = performance.now();
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => visit(app)));
    expect(performance.now() - startedMs).toBeLessThan(PULL_TIMEOUT_MS + 20_000);
    expect(pulls()).toBe(1);
    for (const answer of answers) expectTyped(answer, codes);
    expect(new Set(answers.map((answer) => answer.json()['code'])).size).toBe(1);
    expect(await apps.images.id(app.image)).toBeUndefined();
    expect(await containers.of(app.reference)).toEqual([]);

    registry.heal(path);
    await until('the next try works', async () => (await visit(app)).text === `${app.reference}\n`, 60_000, 200);
    expect((await containers.only(app.reference)).State.Running).toBe(true);
  });

  it.concurrent.each([429, 500, 503].flatMap((status) => [MANIFEST, BLOB].map((at) => ({ status, at }))))('answers $status once at $at works at the latest for the next who comes', async ({ status, at }) => {
    const name = `once-${status}-${at.slice(0, 4)}`;
    const app = await apps.publish(name, { from: 'tiny', ballastBytes: 300_000 });
    registry.set(new RegExp(`/${name}/${at}`), { kind: 'status', status, times: 1 });
    const first = await visit(app);
    if (first.status !== 200) expectTyped(first, FAILS);
    await until('it works', async () => (await visit(app)).text === `${app.reference}\n`, 60_000, 200);
  });
});

function expectTyped(answer: Answer, codes: readonly string[]): void {
  const { code, detail } = answer.json<{ code: string; detail: string }>();
  expect(codes).toContain(code);
  expect(answer.status).toBe(code === 'pull_timeout' ? 504 : 503);
  expect(detail).toMatch(/\S/);
  if (answer.status === 503) expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
}
