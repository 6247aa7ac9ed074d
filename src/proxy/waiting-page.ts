import type { WakeProgress } from '../instances/wake-progress.ts';

/** The page that follows a wake. */
export function waitingPage(reference: string, progress: WakeProgress): { readonly html: string; readonly contentSecurityPolicy: string } {
  const text = `${reference.replace(/[^a-z0-9/:._-]/gi, '')} is ${progress.phase}`;
  return { html: `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>${text}</title><h1>${text}</h1>`, contentSecurityPolicy: "default-src 'none'" };
}
