/** A Procfile's process types, each with its shell line (Heroku, "The Procfile"): `name: command`, a line each. */
export type Processes = Readonly<Record<string, string>>;

/** One line of a Procfile that is none. */
export interface ProcfileFault {
  readonly line: number;
  readonly message: string;
}

/** Reads a Procfile. Empty lines and comments are passed over; everything else is a process or a fault. */
export function parseProcfile(text: string): { readonly processes: Processes; readonly faults: readonly ProcfileFault[] } {
  const processes: Record<string, string> = {};
  const faults: ProcfileFault[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([A-Za-z0-9][A-Za-z0-9_-]{0,62}):\s*(\S.*)$/.exec(line);
    if (!match) faults.push({ line: index + 1, message: 'must be "<process type>: <command>"' });
    else if (Object.hasOwn(processes, match[1]!)) faults.push({ line: index + 1, message: `names ${match[1]!} a second time` });
    else processes[match[1]!] = match[2]!;
  }
  return { processes, faults };
}
