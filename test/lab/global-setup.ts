import type { TestProject } from 'vitest/node';
import type {} from './lab.ts';
import { openLab, type OpenLab } from './open-lab.ts';

/** The projects of one run share one lab: the first opens it, the last closes it. Each loads this module anew, the process is one. */
const shared = globalThis as typeof globalThis & { pipesLab?: { users: number; lab: Promise<OpenLab> } };

export async function setup(project: TestProject): Promise<void> {
  shared.pipesLab ??= { users: 0, lab: openLab() };
  shared.pipesLab.users += 1;
  project.provide('lab', (await shared.pipesLab.lab).facts);
}

export async function teardown(): Promise<void> {
  const current = shared.pipesLab;
  if (current === undefined) return;
  current.users -= 1;
  if (current.users > 0) return;
  delete shared.pipesLab;
  await (await current.lab).close();
}
