/**
 * Patterns over `user/repo`: `*` stands for any run of characters within one of the two parts; `alice` alone means `alice/*`,
 * `*` alone `*\/*`. Compiled once, since they are asked at each cold start.
 */
export type RepositoryMatcher = (repository: string) => boolean;

/** Undefined when the text is no pattern. */
export function compilePattern(text: string): RepositoryMatcher | undefined {
  const [user = '', repo = '*', ...rest] = text.trim().split('/');
  const part = /^[a-z0-9._*-]+$/;
  if (rest.length > 0 || !part.test(user) || !part.test(repo)) return undefined;
  return (repository) => {
    const slash = repository.indexOf('/');
    return slash >= 0 && matchesGlob(user, repository.slice(0, slash)) && matchesGlob(repo, repository.slice(slash + 1));
  };
}

/** Goes back to the last star alone, so that no pattern takes more than its length times the text's; an expression with many stars could take for ever. */
function matchesGlob(glob: string, text: string): boolean {
  let [at, from, star, taken] = [0, 0, -1, 0];
  while (from < text.length) {
    if (glob[at] === '*') [star, taken, at] = [at, from, at + 1];
    else if (glob[at] === text[from] && text[from] !== '/') [at, from] = [at + 1, from + 1];
    else if (star >= 0 && text[from] !== '/') [at, taken, from] = [star + 1, taken + 1, taken + 1];
    else return false;
  }
  while (glob[at] === '*') at += 1;
  return at === glob.length;
}

/** Comma-separated patterns; empty entries are passed over. Undefined when one of them is no pattern. */
export function compilePatterns(text: string): RepositoryMatcher | undefined {
  const matchers = text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '').map(compilePattern);
  if (matchers.some((matcher) => matcher === undefined)) return undefined;
  return (repository) => matchers.some((matcher) => matcher!(repository));
}
