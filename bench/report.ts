import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PARTS = fileURLToPath(new URL('../test-output/bench/', import.meta.url));

/** Writes one part of the report down; scripts/bench.sh joins them by their names. */
export function report(part: string, markdown: string): void {
  mkdirSync(PARTS, { recursive: true });
  writeFileSync(join(PARTS, `${part}.md`), `${markdown.trim()}\n`);
}

/** A table of Markdown. The first column is text, the others are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const ruler = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, ruler, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
