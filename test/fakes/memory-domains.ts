import type { BoundDomains, DomainStore } from '../../src/targets/domain-store.ts';
import type { HostRules } from '../../src/targets/host-name.ts';
import { RouteTable } from '../../src/targets/route-table.ts';

/** Bound host names without a disk. */
export class MemoryDomains implements DomainStore {
  bound: BoundDomains;

  constructor(bound: BoundDomains = {}) {
    this.bound = bound;
  }
  domains = (): BoundDomains => this.bound;
  changeDomains = async (change: (domains: BoundDomains) => BoundDomains): Promise<void> => {
    await Promise.resolve();
    this.bound = change(this.bound);
  };
}

export const NO_RULES: HostRules = { domains: [], domainLevels: undefined, platformHosts: [] };

export function routeTable(bound: BoundDomains = {}, rules: Partial<HostRules> = {}): RouteTable {
  return new RouteTable({ store: new MemoryDomains(bound), rules: { ...NO_RULES, ...rules } });
}
