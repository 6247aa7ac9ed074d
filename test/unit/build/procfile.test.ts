import { describe, expect, it } from 'vitest';
import { parseProcfile } from '../../../src/build/procfile.ts';

describe('a Procfile', () => {
  it('names process types, in its order, without comments and empty lines', () => {
    expect(parseProcfile('# all\n\nweb: node a.js --x="b: c"\r\nworker-2:  sleep 1  \n')).toEqual({ processes: { web: 'node a.js --x="b: c"', 'worker-2': 'sleep 1' }, faults: [] });
  });

  it.each([
    ['web node', 1, 'must be "<process type>: <command>"'],
    ['web:', 1, 'must be "<process type>: <command>"'],
    ['a b: c', 1, 'must be "<process type>: <command>"'],
    ['web: a\nweb: b', 2, 'names web a second time'],
    ['__proto__: a', 1, 'must be "<process type>: <command>"'],
  ])('%j has a fault in line %i', (text, line, message) => expect(parseProcfile(text).faults).toEqual([{ line, message }]));
});
