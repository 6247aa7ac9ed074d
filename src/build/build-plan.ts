/**
 * How a source becomes an image, as data: what `pipes plan` shows, golden files hold, and `printDockerfile` writes down.
 */
export interface BuildPlan {
  readonly runtime: RuntimeName;
  /** What was found and what follows from it, a line each, for the person who pushed. */
  readonly reasons: readonly string[];
  /** In order; the last one is the image. */
  readonly stages: readonly Stage[];
  /** Where the app listens; told to it as `PORT`. */
  readonly port: number;
  /** By process type, a shell line each. `web` gets the traffic and is the image's command; undefined where the base image has one. */
  readonly processes: Readonly<Record<string, string>>;
}

export type RuntimeName = 'node' | 'python' | 'go' | 'java' | 'static';

/** One `FROM` and what is done on it. */
export interface Stage {
  /** Named where another stage copies from it. */
  readonly name?: string;
  /** As `FROM` has it: short names are Docker Hub's. */
  readonly base: string;
  readonly steps: readonly Step[];
}

/** One line of a Dockerfile. Only what the classic builder knows too, so that a plan does not depend on BuildKit. */
export type Step =
  | { readonly run: string }
  | { readonly copy: readonly string[]; readonly to: string; readonly from?: string; readonly owner?: string }
  | { readonly workdir: string }
  | { readonly env: Readonly<Record<string, string>> }
  | { readonly user: string };

/** What a runtime says of a source that it knows, but cannot build as it is: one sentence with what to do. */
export class UnbuildableSource extends Error {}

/** The port of every plan: above 1024, so that no process needs a capability for it. */
export const APP_PORT = 8080;
