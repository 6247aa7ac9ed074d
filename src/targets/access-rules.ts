import type { Access } from '../security/proxy/access.ts';
import { printReference, repositoryOf, type Reference } from './reference.ts';
import type { TargetConfigStore } from './target-config-store.ts';

/** Who may visit what: `access` of a target's configuration, else of its repository's, else everybody. */
export class AccessRules {
  readonly #configs: TargetConfigStore;
  #revision: number | undefined;
  /** Configured references by their lower-case spelling. */
  #references = new Map<string, string[]>();

  constructor(configs: TargetConfigStore) {
    this.#configs = configs;
  }

  /** Another number after each change of any rule. */
  get revision(): number {
    return this.#configs.revision;
  }

  /**
   * Hosts know no case, so one in lower case may mean a target whose tag is written otherwise, and which one shows only when it
   * is woken. So one that is not public holds for all of them; where several differ, only a token opens any.
   */
  accessOf(reference: Reference): Access {
    const ofRepository = this.#configs.repository(repositoryOf(reference))?.access ?? 'public';
    const own = printReference(reference);
    const alike = this.#alike(own);
    if (alike.length === 0) return ofRepository;
    const guarded = new Map<string, Access>();
    // The tag as the host writes it may exist without a configuration of its own, and is then the repository's.
    for (const key of alike.includes(own) ? alike : [...alike, own]) {
      const access = this.#configs.container(key)?.access ?? ofRepository;
      if (access !== 'public') guarded.set(JSON.stringify(access), access);
    }
    return guarded.size > 1 ? 'token' : ([...guarded.values()][0] ?? 'public');
  }

  #alike(key: string): readonly string[] {
    if (this.#revision !== this.revision) {
      this.#references = new Map();
      for (const each of this.#configs.configuredReferences()) {
        const lower = each.toLowerCase();
        this.#references.set(lower, [...(this.#references.get(lower) ?? []), each]);
      }
      this.#revision = this.revision;
    }
    return this.#references.get(key.toLowerCase()) ?? [];
  }
}
