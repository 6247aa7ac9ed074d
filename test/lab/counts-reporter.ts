import { mkdirSync, writeFileSync } from 'node:fs';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

/**
 * Ends a run with one plain line over all projects, `N passed, N failed, N skipped`, after one line for each skipped test with its
 * reason. The line is kept in test-output/counts too, for `make test` to end with whatever is printed in between.
 */
export default class CountsReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    // An error outside any test, and a file that could not be loaded, are failures like any other.
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const skips: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') counts.passed += 1;
        else if (result.state === 'failed') counts.failed += 1;
        else {
          counts.skipped += 1;
          skips.push(`skipped: ${module.relativeModuleId} > ${test.fullName}: ${result.state === 'skipped' ? (result.note ?? 'no reason given') : 'not run'}`);
        }
      }
    }
    // With `-t` all others are skipped, and nobody asks why.
    if (this.#vitest?.config.testNamePattern !== undefined) skips.length = 0;
    const line = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
    mkdirSync('test-output', { recursive: true });
    writeFileSync('test-output/counts', `${line}\n`);
    process.stdout.write([...skips, line, ''].join('\n'));
  }
}
