import { pino, type Logger } from 'pino';
import { GatheredLines } from './gathered-lines.ts';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** `pretty` is for people at a terminal, `json` (one object a line) for everything else. */
  readonly format: 'json' | 'pretty';
}

/** The process's log, on standard output. Environment values, tokens and logins never go into it. */
export async function makeLog(options: LogOptions): Promise<Log> {
  const base = { level: options.level, base: null, timestamp: isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  if (options.format === 'json') return pino(base, gatheredOutput());
  const { default: pretty } = await import('pino-pretty');
  return pino(base, pretty({ destination: 1, colorize: process.stdout.isTTY, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' }));
}

/** For tests and tools that want no log at all. */
export const silentLog: Log = pino({ level: 'silent' });

/** Nobody notices a line that comes so much later. */
const GATHER_MS = 10;

function gatheredOutput(): GatheredLines {
  const lines = new GatheredLines(pino.destination({ fd: 1, sync: false, minLength: 0 }), GATHER_MS);
  process.on('exit', () => lines.flushSync());
  return lines;
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
