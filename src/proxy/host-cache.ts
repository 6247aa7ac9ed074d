import { printReference, type Reference } from '../targets/reference.ts';
import { parseHostName, type HostRules } from '../targets/host-name.ts';

/** A host name as the dispatcher needs it, with the key of its instance ready. */
export type KnownHost =
  | { readonly kind: 'platform' }
  | { readonly kind: 'address' }
  | { readonly kind: 'reference'; readonly reference: Reference; readonly key: string };

/** Host header → what it names. Remembers the hosts it was asked for, so that a warm request parses nothing. */
export class HostCache {
  readonly #rules: HostRules;
  readonly #known = new Map<string, KnownHost>();

  constructor(rules: HostRules) {
    this.#rules = rules;
  }

  /** @throws PipesError `host_malformed`, `host_unknown` */
  lookUp(header: string): KnownHost {
    const known = this.#known.get(header);
    if (known) return known;
    const name = parseHostName(header, this.#rules);
    const host: KnownHost = name.kind === 'reference' ? { ...name, key: printReference(name.reference) } : name;
    // The oldest goes first: whoever invents hosts can push others out, which costs those one parse.
    if (this.#known.size >= MOST_HOSTS) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(header, host);
    return host;
  }
}

const MOST_HOSTS = 10_000;
