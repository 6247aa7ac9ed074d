import { createHash } from 'node:crypto';
import { printImageRef, type ImageRef } from '../images/image-ref.ts';
import type { EffectiveConfig } from '../targets/target-config.ts';

/**
 * What a container is made from and cannot change later, as one short text. A container whose hash differs from its target's is
 * made anew at its next start. The image's bits are compared apart, by their id; the port follows from the two. How long a start may take, when to pull, how to replace and when to sleep are no part of a container.
 */
export function configHash(imageRef: ImageRef, config: EffectiveConfig): string {
  const { startTimeoutMs: _start, readinessPath: _path, pull: _pull, replace: _replace, idle: _idle, wait: _wait, ...made } = config;
  const sorted = { ...made, env: sortKeys(made.env), labels: sortKeys(made.labels), image: printImageRef(imageRef) };
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 32);
}

function sortKeys(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
