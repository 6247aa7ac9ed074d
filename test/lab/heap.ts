import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What this process keeps, after everything that nobody can reach was collected. */
export function keptHeapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // Twice: what weak references and finalizers let go of is free only at the second time.
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
