import { LogLines } from './log-lines.ts';

/** The last lines out of what the engine's log call gives; no more than these are held, however much it gives. */
export async function lastLogLines(stream: AsyncIterable<Uint8Array>, count: number): Promise<string[]> {
  const cutter = new LogLines();
  let last: string[] = [];
  const keep = (lines: readonly string[]): void => {
    if (lines.length > 0) last = [...last, ...lines.slice(-count).map((line) => line.slice(0, LONGEST_LINE))].slice(-count);
  };
  for await (const chunk of stream) keep(cutter.take(Buffer.from(chunk)));
  keep(cutter.end());
  return last;
}

/** What docker-init (tini) writes as its last line when it could not run the container's program; undefined for all else. */
export function initFailure(lines: readonly string[]): string | undefined {
  const match = /^\[FATAL tini \(\d+\)\] exec (.+) failed: (.+)$/.exec(lines.at(-1) ?? '');
  return match ? `${match[1]!}: ${match[2]!}` : undefined;
}

/** These lines end up in answers and in memory; one program's line may be megabytes. */
const LONGEST_LINE = 4096;
