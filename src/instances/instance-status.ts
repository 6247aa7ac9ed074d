import type { LayerProgress } from '../images/image-store.ts';
import type { InstanceState } from './instance-control.ts';
import type { Run } from './run.ts';

/** Where an instance is in its life, with what is known only there. */
export type InstanceStatus =
  | { readonly name: 'absent' }
  /** `containerId`: the one that stands there still, until the new one is made. */
  | { readonly name: 'pulling'; readonly layers: readonly LayerProgress[]; readonly containerId: string | undefined }
  | { readonly name: 'creating' }
  | { readonly name: 'starting'; readonly containerId: string }
  | { readonly name: 'running'; readonly run: Run }
  | { readonly name: 'paused'; readonly containerId: string }
  | { readonly name: 'stopping'; readonly containerId: string }
  | { readonly name: 'stopped'; readonly containerId: string }
  | { readonly name: 'failed'; readonly containerId: string | undefined };

/**
 * The moves that a life can make. `absent` can follow anything, because anybody may remove a container at any moment, and
 * adoption may find a container in any state behind `absent`.
 */
export const MOVES: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  absent: ['pulling', 'creating', 'starting', 'running', 'paused', 'stopped', 'failed'],
  pulling: ['absent', 'creating', 'starting', 'running', 'stopped', 'failed'],
  creating: ['absent', 'starting', 'failed', 'stopped'],
  starting: ['absent', 'running', 'failed', 'stopped'],
  running: ['absent', 'starting', 'paused', 'stopping', 'stopped', 'pulling', 'running'],
  paused: ['absent', 'starting', 'running', 'stopping', 'stopped', 'pulling'],
  stopping: ['absent', 'stopped', 'pulling', 'creating', 'failed', 'running'],
  stopped: ['absent', 'pulling', 'creating', 'starting', 'running', 'paused', 'stopping', 'failed'],
  failed: ['absent', 'pulling', 'creating', 'starting', 'running', 'stopped', 'stopping', 'paused', 'failed'],
};

/** The container that a status speaks of, if any. */
export function containerOf(status: InstanceStatus): string | undefined {
  if (status.name === 'running') return status.run.containerId;
  return 'containerId' in status ? status.containerId : undefined;
}
