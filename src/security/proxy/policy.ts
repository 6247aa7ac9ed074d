import { PipesError } from '../../core/errors.ts';
import { printImageRef, type ImageRef } from '../../images/image-ref.ts';
import { compilePatterns, type RepositoryMatcher } from '../patterns.ts';

/** What may be run from a registry: a `user/repo` inside `ALLOW` and not inside `DENY`, under `REQUIRE_DIGEST` pinned by its digest. */
export class Policy {
  readonly #allow: RepositoryMatcher;
  readonly #deny: RepositoryMatcher;
  readonly #requireDigest: boolean;

  private constructor(allow: RepositoryMatcher, deny: RepositoryMatcher, requireDigest: boolean) {
    this.#allow = allow;
    this.#deny = deny;
    this.#requireDigest = requireDigest;
  }

  /** From the settings `ALLOW` and `DENY`, comma-separated patterns, and `REQUIRE_DIGEST`. Undefined when one of them is no pattern. */
  static from(allow: string, deny: string, requireDigest = false): Policy | undefined {
    const allowed = compilePatterns(allow);
    const denied = compilePatterns(deny);
    return allowed && denied && new Policy(allowed, denied, requireDigest);
  }

  permits(repository: string): boolean {
    return this.#allow(repository) && !this.#deny(repository);
  }

  /**
   * @param image what it is configured to run
   * @throws PipesError `image_forbidden` that says what can be done
   */
  mayRun(repository: string, image: ImageRef): void {
    if (!this.permits(repository)) {
      const reason = this.#deny(repository) ? 'DENY forbids it; its administrator can change that' : 'its administrator can add it to ALLOW';
      throw new PipesError('image_forbidden', `This pipes does not run ${repository}: ${reason}.`);
    }
    if (this.#requireDigest && image.digest === undefined) {
      throw new PipesError('image_forbidden', `This pipes runs only images that are pinned by their digest (REQUIRE_DIGEST), and ${printImageRef(image)} is a tag; name one in its configuration, as "image": "…@sha256:…".`);
    }
  }
}
