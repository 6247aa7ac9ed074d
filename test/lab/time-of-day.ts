import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { labDirectory } from './lab.ts';
import type { PipesOptions, PipesProcess } from './pipes-process.ts';
import { until } from './until.ts';

/** The time of day of one pipes process, which a test sets off as somebody at the machine's clock does. */
export class TimeOfDay {
  readonly #file = join(labDirectory('clock'), 'offset');

  constructor() {
    writeFileSync(this.#file, '0');
  }

  /** For `startPipes`. */
  options(env: Readonly<Record<string, string>> = {}): PipesOptions {
    return { nodeArgs: ['--import', fileURLToPath(new URL('./time-of-day.mjs', import.meta.url))], env: { ...env, TIME_OF_DAY_FILE: this.#file } };
  }

  /**
   * From here on the process takes it to be so much later (or earlier) than it is; resolves once its own log says so.
   * @param ask makes the process write a line of its log
   */
  async set(pipes: PipesProcess, offsetMs: number, ask: () => Promise<unknown>): Promise<void> {
    writeFileSync(this.#file, String(offsetMs));
    pipes.signal('SIGUSR2');
    await until('the process takes the new time of day', async () => {
      await ask();
      const told = Date.parse(String(pipes.logLines().at(-1)?.['time']));
      return Math.abs(told - Date.now() - offsetMs) < 60_000;
    });
  }
}
