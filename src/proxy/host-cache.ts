import type { Access } from '../security/proxy/access.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { RouteTable } from '../targets/route-table.ts';

/** A host name as the dispatcher needs it, with the key of its instance and its access ready. */
export type KnownHost =
  | { readonly kind: 'platform' }
  | { readonly kind: 'address' }
  | { readonly kind: 'reference'; readonly reference: Reference; readonly key: string; readonly access: Access };

/** Who may visit what; `AccessRules` knows. */
export interface AccessSource {
  /** Another number after each change. */
  readonly revision: number;
  accessOf(reference: Reference): Access;
}

/** Host header → what it names. Remembers the hosts it was asked for, so that a warm request parses nothing, until a route or an access changes. */
export class HostCache {
  readonly #routes: RouteTable;
  readonly #access: AccessSource;
  #routesRevision = -1;
  #accessRevision = -1;
  readonly #known = new Map<string, KnownHost>();

  constructor(routes: RouteTable, access: AccessSource) {
    this.#routes = routes;
    this.#access = access;
  }

  /** @throws PipesError `host_malformed`, `host_unknown` */
  lookUp(header: string): KnownHost {
    if (this.#accessRevision !== this.#access.revision || this.#routesRevision !== this.#routes.revision) this.#forget();
    const known = this.#known.get(header);
    if (known) return known;
    const name = this.#routes.lookUp(header);
    const host: KnownHost = name.kind === 'reference' ? { ...name, key: printReference(name.reference), access: this.#access.accessOf(name.reference) } : name;
    // The oldest goes first: whoever invents hosts can push others out, which costs those one parse.
    if (this.#known.size >= MOST_HOSTS) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(header, host);
    return host;
  }

  /** Somebody bound a name, or changed who may visit what. */
  #forget(): void {
    this.#known.clear();
    this.#routesRevision = this.#routes.revision;
    this.#accessRevision = this.#access.revision;
  }
}

const MOST_HOSTS = 10_000;
