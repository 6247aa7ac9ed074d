import { describe, expect, it } from 'vitest';
import { anyText, decimal, duration, list, oneOf, onOff, rate, size, wholeNumber, type Kind } from '../../../src/config/setting-kinds.ts';

const MB = 2 ** 20;

/** What each kind takes, with the value that comes of it, and what it refuses. */
const kinds: readonly { readonly name: string; readonly kind: Kind<unknown>; readonly taken: readonly (readonly [string, unknown])[]; readonly refused: readonly string[] }[] = [
  { name: 'anyText', kind: anyText, taken: [['a b', 'a b']], refused: [] },
  {
    name: 'onOff',
    kind: onOff,
    taken: [['on', true], ['ON', true], ['true', true], ['1', true], ['yes', true], ['off', false], ['False', false], ['0', false], ['no', false]],
    refused: ['', 'maybe', '2', 'onn'],
  },
  { name: 'duration', kind: duration(), taken: [['500ms', 500], ['30s', 30_000], ['2h', 7_200_000], ['7d', 604_800_000], ['0s', 0]], refused: ['off', '', '30', '-1s', '1.5h', '1h30m', '30 s', '11d', '999999999d'] },
  { name: 'duration or off', kind: duration({ orOff: true }), taken: [['off', Infinity], ['15m', 900_000], ['30d', 2_592_000_000]], refused: ['never', 'OFF'] },
  { name: 'size', kind: size(), taken: [['512m', 512 * MB], ['20g', 20_480 * MB], ['0', 0], ['1K', 1024]], refused: ['off', '', '1.5g', '-1', '1gb', '999999999999t'] },
  { name: 'size of at least 6m', kind: size({ leastBytes: 6 * MB }), taken: [['6m', 6 * MB]], refused: ['5m', '1', 'off'] },
  { name: 'size or off', kind: size({ orOff: true }), taken: [['off', Infinity], ['1m', MB]], refused: ['none'] },
  { name: 'wholeNumber', kind: wholeNumber(1, 100), taken: [['1', 1], ['100', 100], ['007', 7]], refused: ['0', '101', '1.0', '-1', '1e1', '0x10', '', 'off'] },
  { name: 'wholeNumber or off', kind: wholeNumber(1, 100, { orOff: true }), taken: [['off', Infinity], ['5', 5]], refused: ['0', 'Infinity'] },
  { name: 'decimal', kind: decimal(0.01, 4), taken: [['0.01', 0.01], ['4', 4], ['1.50', 1.5]], refused: ['0', '4.01', '.5', '1,5', '1e0', '', '-1'] },
  { name: 'oneOf', kind: oneOf('a', 'b', 'c'), taken: [['a', 'a'], ['c', 'c']], refused: ['A', '', 'a,b', 'd'] },
  {
    name: 'rate',
    kind: rate,
    taken: [['60/min', { count: 60, windowMs: 60_000 }], ['1/s', { count: 1, windowMs: 1_000 }], ['100/h', { count: 100, windowMs: 3_600_000 }], ['off', { count: Infinity, windowMs: 60_000 }]],
    refused: ['', '60', '0/min', '60/m', '-1/h', '60 / min', '1.5/s'],
  },
  { name: 'list', kind: list(wholeNumber(0, 9), 'digits'), taken: [['1', [1]], [' 1, 2 ,,3 ', [1, 2, 3]], ['', []]], refused: ['1,10', '1;2', 'x'] },
];

describe.each(kinds)('$name', ({ kind, taken, refused }) => {
  it.each(taken.map(([text, value]) => ({ text, value })))('reads "$text"', ({ text, value }) => {
    expect(kind.parse(text)).toEqual(value);
  });

  it.each(refused.map((text) => ({ text })))('refuses "$text"', ({ text }) => {
    expect(kind.parse(text)).toBeUndefined();
  });
});

describe('what is allowed', () => {
  it('ends the sentence "it must be …", with `off` only where it is taken, and with the bounds', () => {
    expect(duration().allowed).not.toContain('off');
    expect(duration({ orOff: true }).allowed).toContain('or off');
    expect(size({ leastBytes: 6 * MB }).allowed).toContain('at least 6m');
    expect(wholeNumber(1, 100).allowed).toBe('a whole number from 1 to 100');
    expect(oneOf('a', 'b', 'c').allowed).toBe('a, b or c');
    expect(list(wholeNumber(0, 9), 'digits').allowed).toBe('digits, separated by commas');
  });
});
