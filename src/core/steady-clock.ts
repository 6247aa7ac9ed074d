/**
 * Milliseconds that pass evenly, whatever is done to the time of day (by NTP, an operator, a virtual machine that was suspended). They mean
 * something only within this process: every "how long since" is counted in them; what is shown, kept or has a date is a time of day.
 */
export function steadyMs(): number {
  return performance.now();
}

/** The time of day of such a moment, by what the machine's clock says now. */
export function timeOfDay(momentMs: number): Date {
  return new Date(Math.round(zeroMs() + momentMs));
}

/** The moment that another program gave a time of day to. One that lies ahead has only just been. */
export function momentOf(time: Date): number {
  return Math.min(time.getTime() - zeroMs(), steadyMs());
}

/** Two clocks that are read one after the other tremble by a millisecond; what is told twice must read the same. */
const TREMBLE_MS = 100;
let rememberedZeroMs = 0;

/** The time of day at which the steady clock read zero, had both always gone as now. */
function zeroMs(): number {
  const now = Date.now() - steadyMs();
  if (Math.abs(now - rememberedZeroMs) >= TREMBLE_MS) rememberedZeroMs = now;
  return rememberedZeroMs;
}
