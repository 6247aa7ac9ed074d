import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RegistryLogins, type RegistryLogin } from '../../../src/images/registry-logins.ts';

const OWN: RegistryLogin = { registry: 'docker.io', username: 'own', password: 'p' };
let directory: string;
let path: string;
let warnings: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pipes-logins-'));
  path = join(directory, 'config.json');
  warnings = [];
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const logins = (own?: RegistryLogin): RegistryLogins => new RegistryLogins({ own, dockerConfigPath: path, warn: (line) => warnings.push(line) });
const write = async (username: string): Promise<void> => {
  await writeFile(path, JSON.stringify({ auths: { 'https://index.docker.io/v1/': { username, password: 'x' }, 'r.example': { username, password: 'x' } }, credsStore: 'pass' }));
};

describe('RegistryLogins', () => {
  it('has none without a file', async () => {
    const one = logins();
    await one.start();
    expect(await one.loginFor('docker.io')).toBeUndefined();
  });

  it('prefers its own login for its registry, and reads the file for others', async () => {
    await write('file');
    const one = logins(OWN);
    await one.start();
    expect((await one.loginFor('docker.io'))?.username).toBe('own');
    expect((await one.loginFor('r.example'))?.username).toBe('file');
    expect(await one.loginFor('other.example')).toBeUndefined();
  });

  it('notices a new login, and a removed file, without a restart; warns once', async () => {
    const one = logins();
    await one.start();
    await write('first');
    expect((await one.loginFor('docker.io'))?.username).toBe('first');
    await write('second one');
    expect((await one.loginFor('docker.io'))?.username).toBe('second one');
    expect(warnings).toHaveLength(1);
    await rm(path);
    expect(await one.loginFor('docker.io')).toBeUndefined();
  });

  it('stops the start for a broken file, and survives one that breaks later', async () => {
    await writeFile(path, '{');
    await expect(logins().start()).rejects.toMatchObject({ code: 'invalid_request' });
    await write('good');
    const one = logins();
    await one.start();
    await writeFile(path, '{ broken');
    expect((await one.loginFor('docker.io'))?.username).toBe('good');
    expect(warnings.at(-1)).toContain(path);
  });
});
