import { z } from 'zod';

/** One thing wrong with a body: where (`readiness.path`, `volumes[0]`; empty for the whole) and what. */
export const Fault = z.object({ path: z.string(), message: z.string() });

export type Fault = z.infer<typeof Fault>;

/** Every fault that a schema found; each unknown key is one of its own. */
export function faultsOf(error: z.ZodError): Fault[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: printPath([...issue.path, key]), message: 'is not a key that pipes knows' }));
    if (issue.code === 'invalid_key') return [{ path: printPath(issue.path), message: `its name ${issue.issues[0]?.message ?? 'is not valid'}` }];
    if (issue.code === 'invalid_union') return faultsOf(new z.ZodError(closest(issue).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))));
    return [{ path: printPath(issue.path), message: issue.message }];
  });
}

/** What is wrong with the one form that was meant, if it can be told: where the faults lie deeper than that a key is missing or too much. */
function closest(issue: z.core.$ZodIssueInvalidUnion): readonly z.core.$ZodIssue[] {
  const meant = issue.errors.filter((issues) => issues.every((inner) => inner.path.length > 1));
  return meant.length === 1 ? meant[0]! : [{ code: 'custom', path: [], message: issue.message, input: undefined }];
}

function printPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}${text === '' ? '' : '.'}${String(step)}`), '');
}
