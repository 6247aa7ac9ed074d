/** Host name → the `user/repo` that it is bound to. */
export type BoundDomains = Readonly<Record<string, string>>;

/** Keeps bound host names. Reading is from memory; a change has reached the disk when its promise resolves. */
export interface DomainStore {
  domains(): BoundDomains;
  /**
   * One change after the other, each from what the one before it left.
   * @param change must not alter what it is given; returns the very same when nothing changes. What it throws ends this change alone
   * @throws what `change` throws; PipesError `disk_full`, `internal`: then nothing has changed, in memory and on disk
   */
  changeDomains(change: (domains: BoundDomains) => BoundDomains): Promise<void>;
}
