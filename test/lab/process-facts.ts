import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** What the kernel knows of another process, at this moment (Linux). */
export function processFacts(pid: number): { rssBytes: number; peakRssBytes: number; openFiles: number; sockets: number; cpuMs: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? NaN);
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  // After the name in brackets, which may hold anything, utime and stime are the 12th and 13th field; in ticks, 100 a second.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  return {
    rssBytes: kilobytes('VmRSS') * 1024,
    peakRssBytes: kilobytes('VmHWM') * 1024,
    openFiles: links.length,
    sockets: links.filter((link) => link.startsWith('socket:')).length,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
  };
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
