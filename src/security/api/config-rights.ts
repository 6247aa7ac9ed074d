import { isDeepStrictEqual } from 'node:util';
import { parseDuration } from '../../core/durations.ts';
import { parseSize } from '../../core/sizes.ts';
import { DOCKER_HUB, parseImageRef, type RegistryBase } from '../../images/image-ref.ts';
import type { Access } from '../proxy/access.ts';
import type { Policy } from '../proxy/policy.ts';
import type { Principal } from './principal.ts';
import { allows, isAdmin } from './scopes.ts';

/** The parts of a configuration that can reach beyond the target it belongs to. */
export interface FarReachingConfig {
  readonly volumes?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly image?: string | undefined;
  readonly capabilities?: readonly string[] | undefined;
  readonly access?: Access | undefined;
  readonly memory?: string | undefined;
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
  readonly readiness?: { readonly timeout?: string | undefined } | undefined;
}

/** The most of the machine that a `deploy` token may give to one container; Infinity for as much as it likes. */
export interface Bounds {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  /** A container that is not ready yet holds one of the places to start in, which everybody shares. */
  readonly readinessMs: number;
}

/** One thing that the caller may not set, at its place in the document. */
export interface MissingRight {
  readonly path: string;
  readonly message: string;
}

/**
 * What in a configuration needs more rights than `deploy` over its own repository (INTERFACE 4).
 *
 * What stands in the present configuration already is not asked again: an administrator put it there, and whoever only
 * changes `env` sends the whole document back.
 */
export class ConfigRights {
  readonly #policy: Policy;
  readonly #base: RegistryBase;
  readonly #bounds: Bounds;

  constructor(policy: Policy, base: RegistryBase, bounds: Bounds) {
    this.#policy = policy;
    this.#base = base;
    this.#bounds = bounds;
  }

  /** Empty when the principal may write `next` in the place of `present`. */
  missing(principal: Principal, present: FarReachingConfig, next: FarReachingConfig): MissingRight[] {
    if (isAdmin(principal)) return [];
    const missing: MissingRight[] = [];
    for (const [index, volume] of (next.volumes ?? []).entries()) {
      const path = `volumes[${index}]`;
      if (present.volumes?.includes(volume)) continue;
      if (volume.startsWith('/')) missing.push({ path, message: 'a path on the host needs an admin token' });
      if (volume.startsWith('external:')) missing.push({ path, message: 'a volume that is not the target\'s own needs an admin token' });
    }
    for (const [name, value] of Object.entries(next.labels ?? {})) {
      if (present.labels?.[name] !== value) missing.push({ path: `labels.${name}`, message: 'labels need an admin token' });
    }
    if (next.image !== undefined && next.image !== present.image && !this.#mayUse(principal, next.image)) {
      missing.push({ path: 'image', message: 'needs an admin token, or an image of a repository that you may deploy and ALLOW lets run' });
    }
    for (const [index, name] of (next.capabilities ?? []).entries()) {
      if (!present.capabilities?.includes(name)) missing.push({ path: `capabilities[${index}]`, message: 'capabilities need an admin token' });
    }
    if (isForward(next.access) && !isDeepStrictEqual(next.access, present.access)) {
      missing.push({ path: 'access.forward', message: 'needs an admin token, since pipes itself asks that address' });
    }
    return [...missing, ...this.#beyondBounds(present, next)];
  }

  #beyondBounds(present: FarReachingConfig, next: FarReachingConfig): MissingRight[] {
    const { memoryBytes, cpus, pids, readinessMs } = this.#bounds;
    const limits = [
      { path: 'memory', now: next.memory, before: present.memory, value: parseSize(next.memory ?? ''), most: memoryBytes, text: `${memoryBytes / 2 ** 20}m` },
      { path: 'cpus', now: next.cpus, before: present.cpus, value: next.cpus, most: cpus, text: String(cpus) },
      { path: 'pids', now: next.pids, before: present.pids, value: next.pids, most: pids, text: String(pids) },
      { path: 'readiness.timeout', now: next.readiness?.timeout, before: present.readiness?.timeout, value: parseDuration(next.readiness?.timeout ?? ''), most: readinessMs, text: `${readinessMs / 1000}s` },
    ];
    return limits
      .filter(({ now, before, value, most }) => now !== before && value !== undefined && value > most)
      .map(({ path, text }) => ({ path, message: `more than ${text} needs an admin token` }));
  }

  #mayUse(principal: Principal, image: string): boolean {
    const repository = this.#repositoryOf(image);
    return repository !== undefined && allows(principal, 'deploy', repository) && this.#policy.permits(repository);
  }

  /** The `user/repo` whose hosts mean this image; undefined when no host does. */
  #repositoryOf(image: string): string | undefined {
    const ref = parseImageRef(image);
    if (!ref) return undefined;
    // `library` is Docker Hub's, whatever REGISTRY says.
    if (ref.registry === DOCKER_HUB && ref.repository.startsWith('library/')) return ref.repository;
    if (ref.registry !== this.#base.registry) return undefined;
    const start = this.#base.prefix === '' ? '' : `${this.#base.prefix}/`;
    const rest = ref.repository.startsWith(start) ? ref.repository.slice(start.length) : '';
    return /^(?!library\/)[^/]+\/[^/]+$/.test(rest) ? rest : undefined;
  }
}

function isForward(access: Access | undefined): boolean {
  return typeof access === 'object' && 'forward' in access;
}
