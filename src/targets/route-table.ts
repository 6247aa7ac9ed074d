import { PipesError } from '../core/errors.ts';
import type { Principal } from '../security/api/principal.ts';
import { allows } from '../security/api/scopes.ts';
import type { BoundDomains, DomainStore } from './domain-store.ts';
import { normaliseHost, parseHostName, type HostName, type HostRules } from './host-name.ts';
import { parseReference, repositoryOf } from './reference.ts';

export interface RouteTableOptions {
  readonly store: DomainStore;
  readonly rules: HostRules;
}

/** What host names mean: those that were bound to a `user/repo`, before the patterns (INTERFACE 1); and who may bind which. */
export class RouteTable {
  readonly #store: DomainStore;
  readonly #rules: HostRules;
  #revision = 0;

  constructor({ store, rules }: RouteTableOptions) {
    this.#store = store;
    this.#rules = rules;
  }

  /** Another number once any host may mean something else, for those who remember what they were told. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * What the value of a Host header means. pipes' own hosts come first: a name that became one by a new `DOMAIN` or
   * `PLATFORM_HOSTS` is no longer whose it was.
   * @throws PipesError `host_malformed`, `host_unknown`
   */
  lookUp(header: string): HostName {
    const repository = holderOf(this.#store.domains(), normaliseHost(header));
    if (repository === undefined) return parseHostName(header, this.#rules);
    const pattern = this.#patternOf(header);
    return pattern?.kind === 'platform' ? pattern : { kind: 'reference', reference: parseReference(repository) };
  }

  /** The host names that are bound to a `user/repo`, in order. */
  domainsOf(repository: string): string[] {
    return Object.entries(this.#store.domains())
      .filter(([, holder]) => holder === repository)
      .map(([domain]) => domain)
      .sort();
  }

  /**
   * Binds these host names to the `user/repo`, and no others: all or none. What is bound to it already is not judged again, so that whoever
   * adds one can send the others back. Of several who want one name, the first whose change is kept has it.
   * @param domains without faults (see `domainFault`), in ASCII
   * @throws PipesError `domain_forbidden`, `domain_taken`, `disk_full`, `internal`
   */
  async bind(caller: Principal, repository: string, domains: readonly string[]): Promise<void> {
    await this.#store.changeDomains((bound) => {
      const added = domains.filter((domain) => holderOf(bound, domain) !== repository);
      const kept = Object.entries(bound).filter(([domain, holder]) => holder !== repository || domains.includes(domain));
      if (added.length === 0 && kept.length === Object.keys(bound).length) return bound;
      this.#assertMayBind(caller, repository, domains, added);
      assertFree(caller, domains, added, bound);
      return Object.fromEntries([...kept, ...added.map((domain) => [domain, repository] as const)]);
    });
    this.#revision += 1;
  }

  #assertMayBind(caller: Principal, repository: string, domains: readonly string[], added: readonly string[]): void {
    const reasons = added.map((domain) => this.#whyNot(caller, repository, domain));
    const faults = added.flatMap((domain, index) => faultAt(domains, domain, reasons[index]));
    if (faults.length === 0) return;
    const named = added.flatMap((domain, index) => (reasons[index] === undefined ? [] : [`${domain} ${reasons[index]}`]));
    throw new PipesError('domain_forbidden', `${named.join('; ')}. Nothing was bound.`, { members: { faults } });
  }

  #whyNot(caller: Principal, repository: string, domain: string): string | undefined {
    const pattern = this.#patternOf(domain);
    if (pattern === undefined) return undefined;
    if (pattern.kind !== 'reference') return "is one of pipes' own hosts";
    const other = repositoryOf(pattern.reference);
    if (other === repository || allows(caller, 'deploy', other)) return undefined;
    return `means ${other} here, which the token "${caller.name}" may not deploy`;
  }

  /** What a host means without anything being bound; undefined when nothing. */
  #patternOf(host: string): HostName | undefined {
    try {
      return parseHostName(host, this.#rules);
    } catch (thrown) {
      if (thrown instanceof PipesError && thrown.code === 'host_unknown') return undefined;
      throw thrown;
    }
  }
}

function assertFree(caller: Principal, domains: readonly string[], added: readonly string[], bound: BoundDomains): void {
  const taken = added.filter((domain) => holderOf(bound, domain) !== undefined);
  if (taken.length === 0) return;
  // Whose it is concerns only those who can look there anyway; an administrator needs it to free the name.
  const named = taken.map((domain) => {
    const holder = holderOf(bound, domain)!;
    return allows(caller, 'read', holder) ? `${domain} is bound to ${holder}` : `${domain} is bound already`;
  });
  const faults = taken.flatMap((domain) => faultAt(domains, domain, 'is bound already'));
  throw new PipesError('domain_taken', `${named.join('; ')}. Whoever has it must give it up first. Nothing was bound.`, { members: { faults } });
}

function faultAt(domains: readonly string[], domain: string, message: string | undefined): { path: string; message: string }[] {
  return message === undefined ? [] : [{ path: `domains[${domains.indexOf(domain)}]`, message }];
}

function holderOf(bound: BoundDomains, domain: string): string | undefined {
  return Object.hasOwn(bound, domain) ? bound[domain] : undefined;
}
