/** The first line of a file that holds a version and nothing else; undefined where there is none, or nothing in it. */
export function firstLine(text: string | undefined): string | undefined {
  const line = text?.split(/\r?\n/).map((each) => each.trim()).find((each) => each !== '' && !each.startsWith('#'));
  return line === '' ? undefined : line;
}
