/**
 * Preloaded (`node --import`) into a process whose time of day is to jump: at each SIGUSR2 it is set off by the milliseconds that the file at
 * TIME_OF_DAY_FILE names. Timers and `performance.now()` go on evenly, as they do when a machine's clock is set.
 */
import { readFileSync } from 'node:fs';

const RealDate = Date;
let offsetMs = 0;

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + offsetMs);
    else super(...parts);
  }

  static now() {
    return RealDate.now() + offsetMs;
  }
};

process.on('SIGUSR2', () => {
  offsetMs = Number(readFileSync(process.env.TIME_OF_DAY_FILE, 'utf8'));
});
