/**
 * The versions of `pipes.json`. A file of an earlier version is brought up step by step when it is read, and written in the
 * present form with the next change; a file of a later one is refused, since writing it would lose what we do not know.
 */
export type StateDocument = Readonly<Record<string, unknown>>;

/** One step: a document of its version in, one of the next version out (`version` itself is set by `migrate`). */
export type Migration = (document: StateDocument) => StateDocument;

/** The first entry leads from version 1 to 2, and so on. Entries are never changed once released. */
export const MIGRATIONS: readonly Migration[] = [
  // 2: which images pipes pulled.
  (document) => ({ ...document, images: [] }),
  // 3: host names that are bound to a user/repo.
  (document) => ({ ...document, domains: {} }),
];

/** The version that this pipes writes. */
export const STATE_VERSION = MIGRATIONS.length + 1;

/**
 * The document in the present version.
 * @throws Error that says in a few words why it is not possible
 */
export function migrate(document: unknown, migrations: readonly Migration[] = MIGRATIONS): StateDocument {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new Error('it is not a JSON object');
  let current = document as StateDocument;
  const version = current['version'];
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) throw new Error('it has no valid "version"');
  const newest = migrations.length + 1;
  if (version > newest) throw new Error(`its version ${version} is from a newer pipes than this one, which knows up to ${newest}`);
  for (let step = version; step < newest; step++) current = { ...migrations[step - 1]!(current), version: step + 1 };
  return current;
}
