import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { ContainerInspectInfo } from 'dockerode';
import type { EngineClient } from './client.ts';
import { engineStatus } from './engine-errors.ts';
import { Container } from './engine-shapes.ts';

/** The container of this engine that pipes itself runs in. */
export interface OwnContainer {
  readonly id: string;
  /** Networks that it was in when it was found, by id, with the host's address in each. */
  readonly networks: ReadonlyMap<string, { readonly gateway: string }>;
}

/** What the kernel tells this process about itself; empty text where it tells nothing. */
export interface SelfFacts {
  readonly mountinfo: string;
  readonly cgroup: string;
  readonly hostname: string;
}

/**
 * Finds out whether pipes runs in a container of that very engine. A container of another engine (or one that shares the
 * host's network) counts as the host: it cannot be joined to a network.
 * @throws PipesError `engine_unavailable`
 */
export async function findOwnContainer(client: EngineClient): Promise<OwnContainer | undefined> {
  const facts = { mountinfo: await readOrEmpty('/proc/self/mountinfo'), cgroup: await readOrEmpty('/proc/self/cgroup'), hostname: hostname() };
  for (const candidate of candidateIds(facts)) {
    const found = await inspect(client, candidate);
    if (!found?.State.Running || !isSelf(found, candidate, facts)) continue;
    if (/^(?:host|none|container:.*)$/.test(found.HostConfig.NetworkMode ?? '')) return undefined;
    const networks = Object.values(found.NetworkSettings.Networks).map((network) => [network.NetworkID, { gateway: network.Gateway }] as const);
    return { id: found.Id, networks: new Map(networks) };
  }
  return undefined;
}

/**
 * Ids that this process may run in, the surest first. Docker mounts files out of its directory for a container over /etc/hostname
 * and its like; the host sees such directories too, of all containers, but never mounted there.
 */
export function candidateIds(facts: SelfFacts): string[] {
  const ids: string[] = [];
  for (const line of facts.mountinfo.split('\n')) {
    const [, , , root = '', mountPoint = ''] = line.split(' ');
    const id = /\/containers\/([0-9a-f]{64})\//.exec(root)?.[1];
    if (id !== undefined && /^\/etc\/(?:hostname|hosts|resolv\.conf)$/.test(mountPoint)) ids.push(id);
  }
  for (const [, id] of facts.cgroup.matchAll(/[/-]([0-9a-f]{64})(?:\.scope)?$/gm)) ids.push(id!);
  if (/^[0-9a-f]{12}$/.test(facts.hostname)) ids.push(facts.hostname);
  return [...new Set(ids)];
}

/** A host name is only a hint: anyone may set one. The full ids come from the kernel. */
function isSelf(found: ContainerInspectInfo, candidate: string, facts: SelfFacts): boolean {
  return candidate.length === 64 ? found.Id === candidate : found.Config.Hostname === facts.hostname && found.Id.startsWith(candidate);
}

async function inspect(client: EngineClient, id: string): Promise<ContainerInspectInfo | undefined> {
  try {
    return await client.call<ContainerInspectInfo>({ method: 'GET', path: `/containers/${id}/json`, shape: Container });
  } catch (thrown) {
    if (engineStatus(thrown) === 404) return undefined;
    throw client.translate(thrown);
  }
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}
