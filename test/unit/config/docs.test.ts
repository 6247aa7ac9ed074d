import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CLIENT_SETTINGS, SETTINGS, type Setting } from '../../../src/config/settings.ts';

/** One row of a table of docs/settings.md, its cells without the marks of Markdown. */
interface Row {
  readonly name: string;
  readonly fallback: string;
  readonly allowed: string;
  readonly doc: string;
}

const page = readFileSync(new URL('../../../docs/settings.md', import.meta.url), 'utf8');
const rows = page.split('\n').flatMap(readRow);
const settings = Object.entries(SETTINGS) as [string, Setting<unknown>][];

describe('docs/settings.md', () => {
  it('names every setting once, and no other', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual([...Object.keys(SETTINGS), ...CLIENT_SETTINGS].sort());
  });

  it.each(settings)('says of %s what the code says', (name, setting) => {
    expect(rows.find((row) => row.name === name)).toEqual({ name, fallback: defaultOf(setting), allowed: setting.kind.allowed, doc: docOf(setting) });
  });
});

function defaultOf({ fallback, inImage }: Setting<unknown>): string {
  const outside = fallback === undefined || fallback === '' ? '–' : fallback;
  return inImage === undefined ? outside : `${outside} (image: ${inImage})`;
}

function docOf({ doc, secret, later }: Setting<unknown>): string {
  return plain(`${doc}${secret ? ' *Secret.*' : ''}${later ? ' *Not yet.*' : ''}`);
}

/** Rows whose first cell is the name of a setting; those of the client have three cells. */
function readRow(line: string): Row[] {
  const cells = line.replaceAll('\\|', '\0').split('|').slice(1, -1).map((cell) => plain(cell.trim().replaceAll('\0', '|')));
  const [name = '', fallback = '', ...rest] = cells;
  if (!/^[A-Z][A-Z_]+$/.test(name)) return [];
  return [{ name, fallback, allowed: rest.length === 2 ? rest[0]! : '', doc: rest.at(-1) ?? '' }];
}

function plain(cell: string): string {
  return cell.replaceAll('`', '').replaceAll('&lt;', '<');
}
