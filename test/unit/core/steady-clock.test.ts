import { afterEach, describe, expect, it, vi } from 'vitest';
import { momentOf, steadyMs, timeOfDay } from '../../../src/core/steady-clock.ts';

const DAY_MS = 86_400_000;
const realNow = Date.now;
afterEach(() => vi.restoreAllMocks());

function jump(byMs: number): void {
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + byMs);
}

describe('the steady clock', () => {
  it.each([DAY_MS, -DAY_MS])('does not follow the time of day when that jumps by %i ms, and tells its moments by the new one', (byMs) => {
    const moment = steadyMs();
    const told = timeOfDay(moment).getTime();
    jump(byMs);
    expect(steadyMs() - moment).toBeLessThan(10_000);
    expect(Math.abs(timeOfDay(moment).getTime() - told - byMs)).toBeLessThan(1_000);
  });

  it('tells one moment the same way however often it is asked', () => {
    const moment = steadyMs();
    expect(new Set(Array.from({ length: 10_000 }, () => timeOfDay(moment).getTime())).size).toBe(1);
  });

  it('places the times of others, and none ahead of now', () => {
    expect(Math.abs(steadyMs() - momentOf(new Date(Date.now() - 5_000)) - 5_000)).toBeLessThan(1_000);
    expect(momentOf(new Date(Date.now() + DAY_MS))).toBeLessThanOrEqual(steadyMs());
    const moment = steadyMs() - 1_000;
    expect(Math.abs(momentOf(timeOfDay(moment)) - moment)).toBeLessThanOrEqual(1);
  });
});
