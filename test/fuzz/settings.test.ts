import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeSettings, loadSettings, SettingsError } from '../../src/config/load-settings.ts';
import { SETTINGS, trustedProxies, type SettingName } from '../../src/config/settings.ts';
import { PipesError } from '../../src/core/errors.ts';
import { parseSubnet } from '../../src/docker/subnets.ts';
import { EngineClient } from '../../src/docker/client.ts';
import { readDockerConfig } from '../../src/images/docker-config.ts';
import { parseRegistryBase } from '../../src/images/image-ref.ts';
import { QuietRules } from '../../src/proxy/quiet.ts';
import { Policy } from '../../src/security/proxy/policy.ts';
import { parseHostName } from '../../src/targets/host-name.ts';
import { check } from './fuzzing.ts';
import { anyBytes, bent, broken, oddText, textOf } from './inputs.ts';

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), 'pipes-fuzz-settings-'))));
afterAll(() => rmSync(directory, { recursive: true }));

const names = Object.keys(SETTINGS) as SettingName[];
/** Texts near to what some setting takes. */
const nearly = fc.oneof(
  oddText,
  fc.tuple(fc.constantFrom('tcp://', 'unix:///', 'http://', '', '/', '[', '10.0.0.0/', '::1/', 'fe80::1%lo/', '*/', 'localhost:'), oddText, fc.constantFrom('', ']', ':80', '/8', '/99', ',', 'm', 'd', '/min')).map((parts) => parts.join('')),
  fc.constantFrom('on', 'off', '10m', '512m', '60/min', 'a.b', 'registry', 'a..b:5000', 'host:99999', 'alice/*', '*/*,', '1.2.3.4/33', '1.2.3.4/24/7', 'fe80::1%eth0', '/ping,/icons/*', '999999999d', '999999999999t'),
);
/** Where values of the environment cannot be: they end at a NUL. */
const environment = fc.dictionary(fc.constantFrom(...names, 'PORT_FILE', 'REGISTRY_FILE'), nearly.map((text) => text.replaceAll('\0', '')), { maxKeys: 4 });

describe('settings', () => {
  it('are loaded, or stop the start with one SettingsError that names one of them', async () => {
    await check(
      fc.property(environment, fc.oneof(anyBytes, nearly.map((text) => Buffer.from(`REGISTRY=${text}\n`)), fc.tuple(fc.constantFrom(...names), nearly).map(([name, text]) => Buffer.from(`${name}="${text}"\n`))), (given, dotenv) => {
        const envFile = join(directory, '.env');
        writeFileSync(envFile, dotenv);
        let loaded;
        try {
          loaded = loadSettings({ environment: given, envFile, inImage: false });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SettingsError);
          expect((thrown as Error).message).toMatch(/^[A-Z_]+ is |^[A-Z_]+_FILE names |cannot be read/);
          return;
        }
        expect(describeSettings(loaded)).toHaveLength(names.length);
        usable(loaded.values);
      }),
      1500,
    );
  });

  it('hold whatever their text says: what was taken is understood by the part that uses it', async () => {
    await check(
      fc.property(fc.constantFrom(...names), nearly, (name, text) => {
        let loaded;
        try {
          loaded = loadSettings({ environment: { [name]: text }, envFile: join(directory, 'none'), inImage: false });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SettingsError);
          return;
        }
        usable(loaded.values);
      }),
      4000,
    );
  });
});

/** As `Pipes` uses them when it is built; each must take what the settings let through. */
function usable(values: ReturnType<typeof loadSettings>['values']): void {
  expect(parseRegistryBase(values.REGISTRY), `REGISTRY ${values.REGISTRY}`).toBeDefined();
  expect(Policy.from(values.ALLOW, values.DENY)).toBeDefined();
  expect(parseSubnet(values.NETWORK_POOL)).toBeDefined();
  trustedProxies(values.TRUST_PROXY)('10.0.0.1');
  new QuietRules(values.QUIET).match('/ping', 'x');
  parseHostName('localhost', { domains: values.DOMAIN, domainLevels: values.DOMAINLEVELS, platformHosts: values.PLATFORM_HOSTS });
  try {
    new EngineClient({ host: values.DOCKER_HOST });
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(PipesError);
  }
}

describe('config.json of docker login', () => {
  const good = { auths: { 'https://index.docker.io/v1/': { auth: Buffer.from('alice:secret').toString('base64') }, 'registry.test:5000': { identitytoken: 'abc', username: 'bob', password: 'p' } }, credHelpers: { 'gcr.io': 'gcloud' }, credsStore: 'desktop', HttpHeaders: { a: 'b' } };
  const read = (text: string): void => {
    try {
      const { logins } = readDockerConfig(text, '/x/config.json');
      for (const login of logins) expect(`${login.username}${login.identityToken ?? ''}`).not.toBe('');
    } catch (thrown) {
      expect(thrown).toMatchObject({ name: 'PipesError', code: 'invalid_request' });
      expect((thrown as Error).message).toContain('/x/config.json');
      expect((thrown as Error).message).not.toContain('secret');
    }
  };

  it('is read or refused with a word about the file, never with a secret', async () => {
    await check(fc.property(bent(good), (document) => read(textOf(document))), 1500);
    await check(fc.property(broken(Buffer.from(JSON.stringify(good))), (bytes) => read(bytes.toString())), 1500);
    await check(fc.property(anyBytes, (bytes) => read(bytes.toString())), 500);
  });
});
