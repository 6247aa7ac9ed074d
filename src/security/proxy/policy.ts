import { PipesError } from '../../core/errors.ts';
import { compilePatterns, type RepositoryMatcher } from '../patterns.ts';

/** Which `user/repo` may be run from a registry: inside `ALLOW` and not inside `DENY`. */
export class Policy {
  readonly #allow: RepositoryMatcher;
  readonly #deny: RepositoryMatcher;

  private constructor(allow: RepositoryMatcher, deny: RepositoryMatcher) {
    this.#allow = allow;
    this.#deny = deny;
  }

  /** From the settings `ALLOW` and `DENY`, comma-separated patterns. Undefined when one of them is no pattern. */
  static from(allow: string, deny: string): Policy | undefined {
    const allowed = compilePatterns(allow);
    const denied = compilePatterns(deny);
    return allowed && denied && new Policy(allowed, denied);
  }

  permits(repository: string): boolean {
    return this.#allow(repository) && !this.#deny(repository);
  }

  /** @throws PipesError `image_forbidden` */
  mayRun(repository: string): void {
    if (this.permits(repository)) return;
    const reason = this.#deny(repository) ? 'DENY forbids it; its administrator can change that' : 'its administrator can add it to ALLOW';
    throw new PipesError('image_forbidden', `This pipes does not run ${repository}: ${reason}.`);
  }
}
