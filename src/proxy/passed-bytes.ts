import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

/** Dead buffers that may lie about before they are collected. */
const COLLECT_AFTER_BYTES = 16 * 2 ** 20;

let passedBytes = 0;
let collect: Collect | undefined;

/**
 * Bytes of a body have passed through. Each came in a buffer of its own outside V8's heap, where V8 looks for dead ones only once 64 MB
 * of them have piled up; a young collection now and then (under a millisecond) keeps a long transfer in little memory.
 */
export function notePassedBytes(count: number): void {
  passedBytes += count;
  if (passedBytes < COLLECT_AFTER_BYTES) return;
  passedBytes = 0;
  collect ??= exposeCollect();
  collect({ type: 'minor' });
}

/** V8 hands its collector out to contexts that are made after the flag was set, and to no others. */
function exposeCollect(): Collect {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return gc;
}
