import { DOCKER_HUB, parseImageRef, type ImageRef, type RegistryBase } from '../images/image-ref.ts';
import { LIBRARY_USER, printReference, repositoryOf, type Reference } from './reference.ts';
import type { TargetConfigStore } from './target-config-store.ts';
import { effectiveConfig, mergeConfigs, type ConfigDefaults, type TargetConfig } from './target-config.ts';
import type { Target } from './target.ts';

export interface ResolverOptions {
  readonly registry: RegistryBase;
  readonly defaults: ConfigDefaults;
  readonly configs: TargetConfigStore;
  /** @throws PipesError `image_forbidden` for a `user/repo` that may not be run, or not from that image */
  readonly assertMayRun: (repository: string, image: ImageRef) => void;
}

/** Reference → Target. Asked at each cold start, so a configuration takes effect without anything being told of it. */
export class TargetResolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** @throws PipesError `image_forbidden` */
  resolve(reference: Reference): Target {
    const target = this.describe(reference);
    this.#options.assertMayRun(repositoryOf(reference), target.imageRef);
    return target;
  }

  /** The same without asking whether it may run: for what runs already and for reports. */
  describe(reference: Reference): Target {
    const config = effectiveConfig(this.configOf(reference), this.#options.defaults);
    return { reference, config, imageRef: this.#imageOf(reference, config.image) };
  }

  /** The target's configuration over its repository's, as users wrote them. */
  configOf(reference: Reference): TargetConfig {
    const { configs } = this.#options;
    return mergeConfigs(configs.repository(repositoryOf(reference)) ?? {}, this.#ownConfig(reference) ?? {});
  }

  /**
   * Someone may configure `alice/web:release` before its first request shows that the tag is really `Release`. So where
   * nothing is configured under the exact name, the one that differs by case alone is meant, as it is for tags.
   */
  #ownConfig(reference: Reference): TargetConfig | undefined {
    const { configs } = this.#options;
    const key = printReference(reference);
    const exact = configs.container(key);
    if (exact || reference.tag === reference.tag.toLowerCase()) return exact;
    return configs.container(key.toLowerCase());
  }

  #imageOf(reference: Reference, override: string | undefined): ImageRef {
    const overriding = override === undefined ? undefined : parseImageRef(override);
    if (overriding) return overriding;
    const { user, repo, tag } = reference;
    if (user === LIBRARY_USER) return { registry: DOCKER_HUB, repository: `library/${repo}`, tag };
    const { registry, prefix } = this.#options.registry;
    return { registry, repository: `${prefix === '' ? '' : `${prefix}/`}${user}/${repo}`, tag };
  }
}
