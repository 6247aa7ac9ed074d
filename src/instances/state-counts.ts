import type { InstanceState } from './instance-control.ts';
import { MOVES } from './instance-status.ts';

/** How many there are in each state, also in those that none is in. Absent ones are not known, and so not counted. */
export function stateCounts(instances: Iterable<{ readonly status: { readonly name: InstanceState } }>): Map<InstanceState, number> {
  const counts = new Map<InstanceState, number>(STATES.map((state) => [state, 0]));
  for (const { status } of instances) if (status.name !== 'absent') counts.set(status.name, counts.get(status.name)! + 1);
  return counts;
}

const STATES = (Object.keys(MOVES) as InstanceState[]).filter((state) => state !== 'absent');
