/** The files of a source, as far as detection needs them: their names, and the text of small ones. */
export interface SourceTree {
  /** Paths of all files, relative to the top, with `/`, sorted. */
  readonly paths: readonly string[];
  has(path: string): boolean;
  /** The text of a file; undefined where there is none, or one of more than `LARGEST_TEXT_BYTES`, which no tool wrote for people. */
  read(path: string): Promise<string | undefined>;
}

export const LARGEST_TEXT_BYTES = 1_000_000;
