import { writeSync } from 'node:fs';
import { PipesFile } from '../../../src/store/pipes-file.ts';

/**
 * A process that writes configurations as fast as it can until it is killed, three at a time, and prints `<key> <number>` once
 * a write is acknowledged; one that finds the disk full is passed over. Arguments: the directory, and the first number. Prints `ready` first, or why it could not start.
 */
const [directory = '', start = '0'] = process.argv.slice(2);

const store = new PipesFile(directory);
try {
  await store.start();
} catch (error) {
  writeSync(1, `refused ${(error as Error).message}\n`);
  process.exit(1);
}
writeSync(1, 'ready\n');
await Promise.all([0, 1, 2].map(async (key) => {
  for (let number = Number(start); ; number++) {
    try {
      await store.setContainer(`alice/web:t${key}`, { env: { NUMBER: String(number), PADDING: 'x'.repeat(20_000) } });
    } catch (error) {
      if ((error as { code?: string }).code !== 'disk_full') throw error;
      continue;
    }
    writeSync(1, `${key} ${number}\n`);
  }
}));
