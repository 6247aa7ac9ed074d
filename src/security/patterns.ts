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
  const source = [user, repo].map((glob) => glob.replace(/[.]/g, '\\.').replace(/\*+/g, '[^/]*')).join('/');
  const expression = new RegExp(`^${source}$`);
  return (repository) => expression.test(repository);
}

/** Comma-separated patterns; empty entries are passed over. Undefined when one of them is no pattern. */
export function compilePatterns(text: string): RepositoryMatcher | undefined {
  const matchers = text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '').map(compilePattern);
  if (matchers.some((matcher) => matcher === undefined)) return undefined;
  return (repository) => matchers.some((matcher) => matcher!(repository));
}
