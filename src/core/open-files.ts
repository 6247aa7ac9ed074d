import { readdir, readFile } from 'node:fs/promises';

/** How many file descriptors this process has open and may have; undefined where the system does not tell (it does on Linux). */
export async function openFiles(): Promise<{ readonly open: number; readonly most: number } | undefined> {
  try {
    const [open, limits] = await Promise.all([readdir('/proc/self/fd'), readFile('/proc/self/limits', 'utf8')]);
    const most = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
    return { open: open.length, most: most === undefined || most === 'unlimited' ? Infinity : Number(most) };
  } catch {
    return undefined;
  }
}
