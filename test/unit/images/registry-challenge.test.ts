import { expect, it } from 'vitest';
import { parseChallenge } from '../../../src/images/registry-challenge.ts';

it.each([
  ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"', { scheme: 'bearer', realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'repository:a/b:pull' }],
  ['bearer scope="repository:a/b:pull,push" , realm="https://x/t"', { scheme: 'bearer', realm: 'https://x/t', service: undefined, scope: 'repository:a/b:pull,push' }],
  ['Basic realm="lab"', { scheme: 'basic' }],
  ['Basic realm="a, Bearer b", Bearer realm="https://x/t"', { scheme: 'bearer', realm: 'https://x/t', service: undefined, scope: undefined }],
  ['Bearer realm="https://x/\\"t"', { scheme: 'bearer', realm: 'https://x/"t', service: undefined, scope: undefined }],
  ['Bearer service="no realm"', undefined],
  ['Negotiate', undefined],
  ['', undefined],
  [null, undefined],
])('reads %s', (header, expected) => {
  expect(parseChallenge(header)).toEqual(expected);
});
