import fc from 'fast-check';

/**
 * Fuzzing that can be repeated. In the tests it is short and always the same; `make fuzz` gives each round another seed (FUZZ_SEED) and more
 * runs of each property (FUZZ_FACTOR).
 */
const SEED = Number(process.env['FUZZ_SEED'] ?? 4);
const FACTOR = Number(process.env['FUZZ_FACTOR'] ?? 1);


/** Tries the property; what it fails with names the seed that repeats it. */
export async function check<Values>(property: fc.IAsyncProperty<Values> | fc.IProperty<Values>, runs: number): Promise<void> {
  try {
    await fc.assert(property as fc.IAsyncProperty<Values>, { seed: SEED, numRuns: Math.ceil(runs * FACTOR) });
  } catch (error) {
    throw new Error(`FUZZ_SEED=${SEED} FUZZ_FACTOR=${FACTOR} repeats this: ${(error as Error).message}`, { cause: error });
  }
}

/** Rejects where the work has not ended by then. */
export async function within<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
