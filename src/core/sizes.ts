const UNITS_BYTES: Readonly<Record<string, number>> = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `512m`, `20g`, with binary units as Docker has them, in bytes; undefined for all else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})([bkmgt]?)$/i.exec(text);
  if (!match) return undefined;
  const bytes = Number(match[1]) * UNITS_BYTES[match[2]!.toLowerCase() || 'b']!;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact form that `parseSize` reads back. */
export function printSize(bytes: number): string {
  const unit = ['t', 'g', 'm', 'k'].find((name) => bytes > 0 && bytes % UNITS_BYTES[name]! === 0) ?? 'b';
  return `${bytes / UNITS_BYTES[unit]!}${unit}`;
}
