/** What a token allows. Patterns are over `user/repo` (see `matchesPattern`). */
export type Scope =
  | { readonly kind: 'admin' }
  | { readonly kind: 'deploy'; readonly pattern: string }
  | { readonly kind: 'read'; readonly pattern: string };

/** Who calls: a token's name and what it allows. */
export interface Principal {
  readonly name: string;
  readonly scopes: readonly Scope[];
}
