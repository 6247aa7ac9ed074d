import { DOCKER_HUB, parseImageRef, type RegistryBase } from '../../images/image-ref.ts';
import type { Policy } from '../proxy/policy.ts';
import type { Principal } from './principal.ts';
import { allows, isAdmin } from './scopes.ts';

/** The parts of a configuration that can reach beyond the target it belongs to. */
export interface FarReachingConfig {
  readonly volumes?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly image?: string | undefined;
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

  constructor(policy: Policy, base: RegistryBase) {
    this.#policy = policy;
    this.#base = base;
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
    return missing;
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
