import type { BuildPlan, RuntimeName } from './build-plan.ts';
import type { SourceTree } from './source-tree.ts';

/** One language that pipes builds without a Dockerfile. */
export interface Runtime {
  readonly name: RuntimeName;
  /** As people call it. */
  readonly title: string;
  /** Whether the source is one of its own. Looks at names alone. */
  detect(source: SourceTree): boolean;
  /**
   * @param web the Procfile's `web` line, which says how the app starts; undefined: the runtime finds out
   * @throws UnbuildableSource
   */
  plan(source: SourceTree, web: string | undefined): Promise<RuntimePlan>;
}

/** A plan without what every runtime has: the Procfile's processes. `web` is undefined where the base image's own command serves. */
export type RuntimePlan = Omit<BuildPlan, 'runtime' | 'port' | 'processes'> & { readonly web: string | undefined };
