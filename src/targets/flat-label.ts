/**
 * The flat form's escapes: any valid user, repo or tag as a piece of one DNS label, and back. Pure and reversible.
 *
 * A piece holds only `a-z 0-9 -`, begins and ends with a letter or digit and never holds `--`, so `--` can join pieces. What
 * cannot stand in such a piece is written `z-` and a letter; a name's own `z-` therefore has its hyphen escaped:
 *
 *     .          z-d        v1.2.3 → v1z-d2z-d3
 *     _          z-u        my_app → myz-uapp
 *     -          z-h        only where a plain hyphen would be misread: after a hyphen or a z, and at the end
 *     A … Z      z-ca … z-cz
 *     a … z      z-sa … z-sz   only the n of a label that begins `xn--`, which browsers take for punycode (RFC 5890, 2.3.1)
 */
export function escapePiece(name: string): string {
  let piece = '';
  for (let at = 0; at < name.length; at += 1) {
    const char = name[at]!;
    if (char === '.') piece += 'z-d';
    else if (char === '_') piece += 'z-u';
    else if (char === '-') piece += isPlainHyphen(name, at) ? '-' : 'z-h';
    else if (char >= 'A' && char <= 'Z') piece += `z-c${char.toLowerCase()}`;
    else piece += char;
  }
  return piece;
}

/** Reads what `escapePiece` wrote; undefined where an escape is none of the table's. */
export function unescapePiece(piece: string): string | undefined {
  let name = '';
  for (let at = 0; at < piece.length; at += 1) {
    if (piece[at] !== 'z' || piece[at + 1] !== '-') {
      name += piece.charAt(at);
      continue;
    }
    const code = piece[at + 2] ?? '';
    const plain = SINGLE_CODES[code];
    if (plain !== undefined) {
      name += plain;
      at += 2;
      continue;
    }
    const letter = piece[at + 3] ?? '';
    if ((code !== 'c' && code !== 's') || !/^[a-z]$/.test(letter)) return undefined;
    name += code === 'c' ? letter.toUpperCase() : letter;
    at += 3;
  }
  return name;
}

/** Joins names to one label: `tag--repo--user`. */
export function joinFlatLabel(names: readonly string[]): string {
  const label = names.map(escapePiece).join(SEPARATOR);
  return label.startsWith('xn--') ? `xz-sn${label.slice(2)}` : label;
}

/** The names in a flat label, undefined when an escape in it is none. */
export function splitFlatLabel(label: string): string[] | undefined {
  const names = label.split(SEPARATOR).map(unescapePiece);
  return names.includes(undefined) ? undefined : (names as string[]);
}

export const SEPARATOR = '--';

const SINGLE_CODES: Readonly<Record<string, string>> = { d: '.', u: '_', h: '-' };

function isPlainHyphen(name: string, at: number): boolean {
  const before = name[at - 1];
  return before !== undefined && before !== '-' && before !== 'z' && at < name.length - 1;
}
