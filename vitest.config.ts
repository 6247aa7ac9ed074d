import { defineConfig } from 'vitest/config';

/**
 * Five projects, cheapest first. `unit` and `contract` need nothing, `fuzz` the built program; `integration` and `e2e` get the lab (a
 * real engine and real registries, see test/lab/) from their global setup. The files of `e2e` run one after another: they count, measure and kill.
 */
export default defineConfig({
  test: {
    reporters: ['default', './test/lab/counts-reporter.ts'],
    passWithNoTests: true,
    // An engine takes its time to stop, and vitest does not wait longer than this for the lab to be gone.
    teardownTimeout: 60_000,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000, sequence: { groupOrder: 0 } } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], testTimeout: 30_000, sequence: { groupOrder: 1 } } },
      { test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'], testTimeout: 60_000 * Math.max(1, Number(process.env['FUZZ_FACTOR'] ?? 1)), hookTimeout: 60_000, sequence: { groupOrder: 2 } } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/lab/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/lab/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
