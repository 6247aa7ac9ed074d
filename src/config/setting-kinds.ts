import { parseDuration } from '../core/durations.ts';
import { parseSize } from '../core/sizes.ts';

/** A way to read a setting's text, and what it allows as the end of the sentence "… must be …". */
export interface Kind<T> {
  readonly allowed: string;
  /** Undefined when the text is not allowed. */
  readonly parse: (text: string) => T | undefined;
}

export const anyText: Kind<string> = { allowed: 'a text', parse: (text) => text };

export const onOff: Kind<boolean> = {
  allowed: 'on or off',
  parse: (text) => {
    if (['on', 'true', '1', 'yes'].includes(text.toLowerCase())) return true;
    return ['off', 'false', '0', 'no'].includes(text.toLowerCase()) ? false : undefined;
  },
};

/**
 * What is always waited for ends in ten days at most: timers of Node above 2^31 ms (24.8 days) fire at once, and two such times may
 * be added up. Where `off` is allowed, whoever waits knows how to wait longer.
 */
const LONGEST_WAIT_MS = 10 * 86_400_000;

/** Milliseconds; `off` is Infinity where it is allowed. */
export function duration(options: { readonly orOff?: true } = {}): Kind<number> {
  return {
    allowed: `a duration such as 500ms, 30s, 15m, 2h or 7d${options.orOff ? ', or off' : ', at most 10d'}`,
    parse: (text) => {
      const durationMs = parseDuration(text);
      return durationMs !== undefined && durationMs > LONGEST_WAIT_MS && !options.orOff ? undefined : durationMs;
    },
  };
}

/** Bytes; `off` is Infinity where it is allowed. */
export function size(options: { readonly orOff?: true; readonly leastBytes?: number } = {}): Kind<number> {
  return {
    allowed: `a size such as 512m or 20g${options.orOff ? ', or off' : ''}${options.leastBytes === undefined ? '' : `, at least ${options.leastBytes / 2 ** 20}m`}`,
    parse: (text) => {
      if (text === 'off') return options.orOff ? Infinity : undefined;
      const sizeBytes = parseSize(text);
      return sizeBytes === undefined || sizeBytes < (options.leastBytes ?? 0) ? undefined : sizeBytes;
    },
  };
}

/** `off` is Infinity where it is allowed. */
export function wholeNumber(least: number, most: number, options: { readonly orOff?: true } = {}): Kind<number> {
  return {
    allowed: `a whole number from ${least} to ${most}${options.orOff ? ', or off' : ''}`,
    parse: (text) => {
      if (text === 'off' && options.orOff) return Infinity;
      const value = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
      return value >= least && value <= most ? value : undefined;
    },
  };
}

/** `off` is Infinity where it is allowed. */
export function decimal(least: number, most: number, options: { readonly orOff?: true } = {}): Kind<number> {
  return {
    allowed: `a number from ${least} to ${most}${options.orOff ? ', or off' : ''}`,
    parse: (text) => {
      if (text === 'off' && options.orOff) return Infinity;
      const value = /^\d{1,6}(?:\.\d{1,6})?$/.test(text) ? Number(text) : NaN;
      return value >= least && value <= most ? value : undefined;
    },
  };
}

export function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return { allowed: values.join(', ').replace(/, ([^,]*)$/, ' or $1'), parse: (text) => values.find((value) => value === text) };
}

/** So many in a span of time: `60/min`, `100/h`; `off` is no limit. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

export const rate: Kind<Rate> = {
  allowed: 'a rate such as 60/min or 100/h, or off',
  parse: (text) => {
    if (text === 'off') return { count: Infinity, windowMs: 60_000 };
    const match = /^(\d{1,9})\/(s|min|h|d)$/.exec(text);
    if (!match || Number(match[1]) === 0) return undefined;
    return { count: Number(match[1]), windowMs: { s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 's' | 'min' | 'h' | 'd'] };
  },
};

/** Comma-separated; blanks around the entries do not matter, empty entries are passed over. */
export function list<T>(entry: Kind<T>, plural: string): Kind<readonly T[]> {
  return {
    allowed: `${plural}, separated by commas`,
    parse: (text) => {
      const entries = text.split(',').map((part) => part.trim()).filter((part) => part !== '').map((part) => entry.parse(part));
      return entries.includes(undefined) ? undefined : (entries as T[]);
    },
  };
}
