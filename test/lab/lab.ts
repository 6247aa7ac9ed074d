import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';

/** What the lab tells tests, which run in other processes than the one that opened it. */
export interface LabFacts {
  /** Anything started below it (engines, registries, pipes) is ended and removed after the run. */
  readonly dir: string;
  /** An engine for ordinary tests. It may be shared with other programs: fault tests start their own (engine.ts). */
  readonly dockerHost: string;
  readonly privateEngine: boolean;
  /** `127.0.0.1:port`, for pulls and pushes without a login. */
  readonly openRegistry: string;
  readonly authRegistry: { readonly host: string; readonly username: string; readonly password: string };
}

declare module 'vitest' {
  interface ProvidedContext {
    lab: LabFacts;
  }
}

/** The lab of this run; for the tests of the projects `integration` and `e2e`. */
export function useLab(): LabFacts {
  return inject('lab');
}

/** A fresh directory that goes with the lab. */
export function labDirectory(name: string): string {
  return mkdtempSync(join(useLab().dir, `${name}-`));
}
