/**
 * Hosts know no case and tags do (INTERFACE 1): the tags among `known` that differ from the one asked for by case alone,
 * sorted so that answers do not depend on who listed them. ASCII only, since tags have nothing else.
 */
export function caseVariants(tag: string, known: Iterable<string>): string[] {
  const folded = tag.toLowerCase();
  const variants = [...new Set(known)].filter((other) => other !== tag && other.toLowerCase() === folded);
  return variants.sort();
}
