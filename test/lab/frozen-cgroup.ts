import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Freezes that process and all that share its cgroup (a container), as a pause does, without any engine's knowledge. Whoever ends the container ends that too. */
export function freezeProcessesWith(pid: number): void {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n');
  const freezer = lines.find((line) => line.includes(':freezer:'));
  // cgroup v1 has a tree for it; v2 a file in the one tree.
  if (freezer !== undefined) return writeFileSync(`/sys/fs/cgroup/freezer${pathOf(freezer)}/freezer.state`, 'FROZEN');
  const unified = lines.find((line) => line.startsWith('0::'))!;
  const root = existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup';
  writeFileSync(`${root}${pathOf(unified)}/cgroup.freeze`, '1');
}

function pathOf(line: string): string {
  return line.split(':').slice(2).join(':');
}
