import { defineConfig } from 'vitest/config';

/** `make bench`: measurements, one after another, in the lab of the tests. They print numbers; what must hold is a test of its own. */
export default defineConfig({
  test: {
    name: 'bench',
    include: ['bench/**/*.bench.ts'],
    globalSetup: ['test/lab/global-setup.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 180_000,
    disableConsoleIntercept: true,
    passWithNoTests: true,
    // An engine takes its time to stop, and vitest does not wait longer than this for the lab to be gone.
    teardownTimeout: 60_000,
  },
});
