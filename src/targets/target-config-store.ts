import type { TargetConfig } from './target-config.ts';

/** Keeps configurations. Reading is from memory; a write has reached the disk when its promise resolves. */
export interface TargetConfigStore {
  /** Another number after each change of any configuration. */
  readonly revision: number;
  /** Of one target, by its `user/repo:tag`; undefined when none was written. */
  container(reference: string): TargetConfig | undefined;
  /** Of all tags of a `user/repo`. */
  repository(repository: string): TargetConfig | undefined;
  /** References (`user/repo:tag`) that have a configuration of their own. */
  configuredReferences(): string[];
  /** @throws PipesError `disk_full`, `internal`; the old configuration then stands, in memory and on disk */
  setContainer(reference: string, config: TargetConfig): Promise<void>;
  setRepository(repository: string, config: TargetConfig): Promise<void>;
}
