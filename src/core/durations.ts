const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms 30s 15m 2h 7d` in milliseconds, `off` as Infinity (a limit that is never reached); undefined for all else. */
export function parseDuration(text: string): number | undefined {
  if (text === 'off') return Infinity;
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  return match ? Number(match[1]) * UNITS_MS[match[2]!]! : undefined;
}

/** The shortest exact form that `parseDuration` reads back. */
export function printDuration(durationMs: number): string {
  if (durationMs === Infinity) return 'off';
  const unit = ['d', 'h', 'm', 's'].find((name) => durationMs > 0 && durationMs % UNITS_MS[name]! === 0) ?? 'ms';
  return `${durationMs / UNITS_MS[unit]!}${unit}`;
}
