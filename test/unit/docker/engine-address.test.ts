import { expect, it } from 'vitest';
import { parseEngineAddress, printEngineAddress } from '../../../src/docker/engine-address.ts';

it.each([
  [undefined, 'unix:///var/run/docker.sock'],
  ['', 'unix:///var/run/docker.sock'],
  ['/run/x.sock', 'unix:///run/x.sock'],
  ['unix:///run/x.sock', 'unix:///run/x.sock'],
  ['tcp://10.0.0.1', 'tcp://10.0.0.1:2375'],
  ['tcp://engine.example:2376', 'tcp://engine.example:2376'],
  ['https://engine.example', 'tcp://engine.example:2376'],
  ['tcp://[::1]:2375/', 'tcp://[::1]:2375'],
  ['localhost:2375', 'tcp://localhost:2375'],
])('reads %s', (text, printed) => {
  expect(printEngineAddress(parseEngineAddress(text)!)).toBe(printed);
});

it.each(['ssh://user@host', 'npipe:////./pipe/docker_engine', 'nonsense', 'tcp://host:99999', 'tcp://user:pw@host'])('refuses %s', (text) => {
  expect(parseEngineAddress(text)).toBeUndefined();
});
