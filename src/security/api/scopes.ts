import { compilePattern } from '../patterns.ts';
import type { Principal, Scope } from './principal.ts';

/** `admin` may do everything, `deploy` may change a repository's targets and read them, `read` may look. */
export type Right = Scope['kind'];

/** Reads `admin`, `deploy:<pattern>` or `read:<pattern>`; undefined when it is none of them. */
export function parseScope(text: string): Scope | undefined {
  if (text === 'admin') return { kind: 'admin' };
  const match = /^(deploy|read):(.+)$/.exec(text);
  if (!match || !compilePattern(match[2]!)) return undefined;
  return { kind: match[1] as 'deploy' | 'read', pattern: match[2]!.trim() };
}

export function printScope(scope: Scope): string {
  return scope.kind === 'admin' ? 'admin' : `${scope.kind}:${scope.pattern}`;
}

/** Whether the principal has this right over `user/repo`. */
export function allows(principal: Principal, right: Right, repository: string): boolean {
  return principal.scopes.some((scope) => {
    if (scope.kind === 'admin') return true;
    if (right === 'admin' || (right === 'deploy' && scope.kind === 'read')) return false;
    return compilePattern(scope.pattern)?.(repository) ?? false;
  });
}

/** Whether the principal may look at every repository there is or ever will be, and so at what concerns all of them. */
export function readsEverything(principal: Principal): boolean {
  return principal.scopes.some((scope) => scope.kind === 'admin' || /^\*+(?:\/\*+)?$/.test(scope.pattern));
}

/** Whether the principal may do what concerns no repository, or all of them. */
export function isAdmin(principal: Principal): boolean {
  return principal.scopes.some((scope) => scope.kind === 'admin');
}
