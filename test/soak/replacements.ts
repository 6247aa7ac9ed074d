import { setTimeout as wait } from 'node:timers/promises';
import type { App, Apps } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { moveTag } from '../lab/registry-tags.ts';
import { until } from '../lab/until.ts';
import { SteadyLoad, type LoadOutcome } from './steady-load.ts';

export interface ReplacementsOptions {
  readonly apps: Apps;
  readonly repo: string;
  /** `host:port` of the registry that `apps` publishes to. */
  readonly registry: string;
  readonly dockerHost: string;
  readonly pipesPort: number;
  readonly perS: number;
  readonly forMs: number;
  /** How often the tag moves, evenly spread. */
  readonly replacements: number;
}

export interface ReplacementsOutcome extends LoadOutcome {
  /** The version that is to answer in the end. */
  readonly last: string;
  readonly answersInTheEnd: string;
  readonly containersInTheEnd: number;
}

/** How many images there are for a tag to move between. */
const VERSIONS = 6;

/** A load that keeps running while the tag of its target moves again and again in the registry. Who tells pipes is the caller's matter. */
export async function runReplacements(options: ReplacementsOptions): Promise<ReplacementsOutcome> {
  const { apps, repo, registry, pipesPort, replacements, forMs } = options;
  const versions: App[] = [];
  for (let at = 1; at <= VERSIONS; at += 1) versions.push(await apps.publish(repo, {}, `v${at}`));
  const app = apps.app(repo);
  const containers = new EngineContainers(options.dockerHost);
  const whoAnswers = async (): Promise<string> => (await request(pipesPort, { host: app.host, path: '/whoami' })).json<{ version: string }>().version;
  await moveTag(registry, `${apps.user}/${repo}`, 'main', 'v1');
  await whoAnswers();
  const load = new SteadyLoad(pipesPort, app.host, options.perS);
  let last = versions[0]!;
  const startedMs = performance.now();
  for (let move = 1; move <= replacements; move += 1) {
    await wait(Math.max(0, startedMs + (forMs * move) / (replacements + 1) - performance.now()));
    last = versions[move % VERSIONS]!;
    await moveTag(registry, `${apps.user}/${repo}`, 'main', `v${(move % VERSIONS) + 1}`);
    await until(`${last.reference} answers`, async () => (await whoAnswers()) === last.reference, 20_000, 50);
  }
  await wait(Math.max(0, startedMs + forMs - performance.now()));
  const answersInTheEnd = await whoAnswers();
  const outcome = await load.stop();
  await until('the old containers are gone', async () => (await containers.of(app.reference)).length === 1, 40_000, 100);
  return { ...outcome, last: last.reference, answersInTheEnd, containersInTheEnd: (await containers.of(app.reference)).length };
}
