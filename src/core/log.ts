import { pino, type Logger } from 'pino';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** `pretty` is for people at a terminal, `json` (one object a line) for everything else. */
  readonly format: 'json' | 'pretty';
}

/** The process's log, on standard output. Environment values, tokens and logins never go into it. */
export async function makeLog(options: LogOptions): Promise<Log> {
  const base = { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  if (options.format === 'json') return pino(base, pino.destination({ fd: 1, sync: false, minLength: 0 }));
  const { default: pretty } = await import('pino-pretty');
  return pino(base, pretty({ destination: 1, colorize: process.stdout.isTTY, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' }));
}

/** For tests and tools that want no log at all. */
export const silentLog: Log = pino({ level: 'silent' });
