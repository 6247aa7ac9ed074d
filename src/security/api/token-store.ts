/** A token as it is kept: its secret only as a hash. */
export interface StoredToken {
  readonly name: string;
  /** SHA-256 of the whole token text, hex. The secret is 256 random bits, so a slow hash would add nothing. */
  readonly sha256: string;
  /** As written: `admin`, `deploy:<pattern>`, `read:<pattern>`. */
  readonly scopes: readonly string[];
  /** RFC 3339. */
  readonly createdAt: string;
  /** RFC 3339; absent: never. */
  readonly expiresAt?: string;
}

/** Keeps tokens. Reading is from memory; a write has reached the disk when its promise resolves. */
export interface TokenStore {
  tokens(): readonly StoredToken[];
  putToken(token: StoredToken): Promise<void>;
  /** False when there was none of that name. */
  removeToken(name: string): Promise<boolean>;
}
