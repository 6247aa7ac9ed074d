/** What speaks for and against keeping one image. */
export interface EvictionCandidate {
  /** Its tag has moved on: nothing can ask for it by name any more. */
  readonly isLeftover: boolean;
  /** How long it would take to have it back. */
  readonly pullMs: number;
  /** What its removal gives, without the layers that others share. */
  readonly freedBytes: number;
  readonly idleMs: number;
}

/**
 * What to remove first, when room is needed: leftovers of moved tags; then what is cheapest to bring back per byte that its removal
 * gives, weighed with how likely anybody asks for it. That likelihood falls with the hours since its last use: an image that
 * nobody used for a day counts a twenty-fifth of one that was used just now.
 */
export function evictionOrder(a: EvictionCandidate, b: EvictionCandidate): number {
  if (a.isLeftover !== b.isLeftover) return a.isLeftover ? -1 : 1;
  return worthKeeping(a) - worthKeeping(b) || b.idleMs - a.idleMs;
}

const HOUR_MS = 3_600_000;

/** Milliseconds of waiting saved per byte held. */
function worthKeeping({ pullMs, freedBytes, idleMs }: EvictionCandidate): number {
  return Math.max(1, pullMs) / Math.max(1, freedBytes) / (1 + Math.max(0, idleMs) / HOUR_MS);
}
