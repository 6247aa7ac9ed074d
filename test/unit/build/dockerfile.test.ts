import { describe, expect, it } from 'vitest';
import { commandOf, printDockerfile } from '../../../src/build/dockerfile.ts';

describe('the command of a process', () => {
  it('leaves its place to the program, so that signals reach it', () => expect(commandOf('node server.js --port $PORT')).toEqual(['/bin/sh', '-c', 'exec node server.js --port $PORT']));

  it.each(['cd web && node .', 'PORT=1 node .', 'exec node .', 'a | b', 'a; b', 'export A=1'])('stays with the shell for %j', (line) => expect(commandOf(line)).toEqual(['/bin/sh', '-c', line]));
});

describe('a Dockerfile', () => {
  it('says copies with blanks in their names so that Docker reads them', () => {
    const text = printDockerfile({ runtime: 'static', reasons: [], port: 8080, processes: {}, stages: [{ base: 'a', steps: [{ copy: ['my pages'], to: '/x', from: 'b', owner: 'c' }] }] });
    expect(text).toBe('FROM a\nCOPY --from=b --chown=c ["my pages","/x"]\nENV PORT=8080\nEXPOSE 8080\n');
  });
});
