import { pino, type Logger } from 'pino';
import { GatheredLines, type LineSink } from './gathered-lines.ts';
import { LineOutput } from './line-output.ts';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** `pretty` is for people at a terminal, `json` (one object a line) for everything else. */
  readonly format: 'json' | 'pretty';
}

/** The process's log, on standard output. Environment values, tokens and logins never go into it. */
export async function makeLog(options: LogOptions): Promise<Log> {
  const base = { level: options.level, base: null, timestamp: isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  const output = new LineOutput({ fd: 1, lossLine: (lines) => lossLine(lines) });
  process.on('exit', () => output.flushSync());
  if (options.format === 'json') return pino(base, gathered(output));
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({ colorize: process.stdout.isTTY, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' });
  return pino(base, { write: (line) => output.write(pretty(line)) });
}

/** For tests and tools that want no log at all. */
export const silentLog: Log = pino({ level: 'silent' });

/** Nobody notices a line that comes so much later. */
const GATHER_MS = 10;

function gathered(output: LineSink): GatheredLines {
  const lines = new GatheredLines(output, GATHER_MS);
  process.prependListener('exit', () => lines.flushSync());
  return lines;
}

function lossLine(lines: number): string {
  return `{"level":"warn"${isoTime()},"lines":${lines},"msg":"standard output took no lines for a while, and so many are lost"}\n`;
}

let timeMs = 0;
let timeText = '';

/** Many lines fall into one millisecond, and printing a date costs as much as the rest of a line. */
function isoTime(): string {
  const nowMs = Date.now();
  if (nowMs !== timeMs) {
    timeMs = nowMs;
    timeText = `,"time":"${new Date(nowMs).toISOString()}"`;
  }
  return timeText;
}
