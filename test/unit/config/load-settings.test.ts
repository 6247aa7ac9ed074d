import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeSettings, loadSettings, SettingsError, type LoadedSettings } from '../../../src/config/load-settings.ts';
import { SETTINGS, type SettingName } from '../../../src/config/settings.ts';

/** Values for settings that have no default of their own to try with. */
const SAMPLES: Readonly<Record<string, string>> = {
  ...{ DOMAIN: 'example.com', DOMAINLEVELS: '2', PLATFORM_HOSTS: 'pipes.example.com', DOCKER_CERT_PATH: '/certs', DOCKER_AUTH_USERNAME: 'alice', DOCKER_AUTH_EMAIL: 'a@example.com' },
  ...{ DOCKER_AUTH_PASSWORD: 'secret', DENY: 'bob/*', QUIET: 'bot', NETWORK: 'apps', API_TOKEN: 'a-token-of-enough-length', SSH_ADMIN_KEY: 'ssh-ed25519 AAAA', BUILD_PUSH: 'registry.example.com' },
  ...{ GO_IMAGE: 'golang:1', REMOTE_ALLOW: 'git.example.com', WEBHOOK_SECRET: 'secret', TRUST_PROXY: '10.0.0.0/8', LOG_FORMAT: 'json' },
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pipes-settings-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Given {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Content of `.env`; none when left out. */
  readonly env?: string;
  readonly inImage?: boolean;
}

function load({ environment = {}, env, inImage = false }: Given): LoadedSettings {
  const envFile = join(directory, '.env');
  rmSync(envFile, { force: true });
  if (env !== undefined) writeFileSync(envFile, env);
  return loadSettings({ environment, envFile, inImage });
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function complaint(given: Given): string {
  try {
    load(given);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(SettingsError);
    return (thrown as Error).message;
  }
  throw new Error('it was taken');
}

const originOf = (loaded: LoadedSettings, name: string): string | undefined => loaded.sources.find((source) => source.name === name)?.origin;

describe('where settings come from', () => {
  it('nowhere: defaults, and nothing to warn of', () => {
    const loaded = load({});
    expect(loaded.values).toMatchObject({ PORT: 8080, BIND: '127.0.0.1', PULL: 'missing', MEMORY: 512 * 2 ** 20, DOMAIN: [], UPSTREAM_TIMEOUT: Infinity, API_TOKEN: undefined });
    expect(loaded.warnings).toEqual([]);
    expect(originOf(loaded, 'PORT')).toBe('default');
    expect(originOf(loaded, 'API_TOKEN')).toBe('unset');
  });

  it('in the image some defaults differ, and what is set wins over them', () => {
    expect(load({ inImage: true }).values).toMatchObject({ PORT: 80, BIND: '0.0.0.0', CONFIG_DIR: '/configs' });
    expect(load({ inImage: true, environment: { PORT: '8081' } }).values.PORT).toBe(8081);
  });

  it('the environment wins over .env, which wins over the default', () => {
    const loaded = load({ environment: { PORT: '1' }, env: 'PORT=2\nBIND=127.0.0.9\n' });
    expect(loaded.values).toMatchObject({ PORT: 1, BIND: '127.0.0.9' });
    expect(originOf(loaded, 'PORT')).toBe('environment');
    expect(originOf(loaded, 'BIND')).toBe('.env');
  });

  it('.env is read as dotenv has it', () => {
    expect(load({ env: '# a comment\n\nALLOW="alice/*"  # why\nexport PULL=never\n' }).values).toMatchObject({ ALLOW: 'alice/*', PULL: 'never' });
  });

  it('an empty value counts as unset, wherever it stands', () => {
    expect(load({ environment: { PORT: '', BIND: '  ' }, env: 'PORT=2\n' }).values).toMatchObject({ PORT: 2, BIND: '127.0.0.1' });
  });

  it('blanks around a value do not matter', () => {
    expect(load({ environment: { PORT: ' 81 ' } }).values.PORT).toBe(81);
  });

  it('a directory with the name .env is no file', () => {
    const envFile = join(directory, 'folder.env');
    mkdirSync(envFile);
    expect(loadSettings({ environment: {}, envFile, inImage: false }).values.PORT).toBe(8080);
  });
});

describe('NAME_FILE', () => {
  it.each(Object.keys(SETTINGS))('names a file with the value of %s', (name) => {
    const value = SAMPLES[name] ?? SETTINGS[name as SettingName].fallback;
    const loaded = load({ environment: { [`${name}_FILE`]: file('value', `${value!}\n`) } });
    expect(loaded.sources.find((source) => source.name === name)).toEqual({ name, text: value, origin: 'environment', file: join(directory, 'value') });
  });

  it('that is empty is an error, for most often the secret did not get there', () => {
    expect(complaint({ environment: { API_TOKEN_FILE: file('empty', '\n') } })).toBe(`API_TOKEN_FILE names ${join(directory, 'empty')}, which is empty.`);
  });

  it('is read without the newline at its end', () => {
    const loaded = load({ environment: { API_TOKEN_FILE: file('token', 'a-token-of-enough-length\n') } });
    expect(loaded.values.API_TOKEN).toBe('a-token-of-enough-length');
  });

  it('works from .env, and in the environment wins over a value there', () => {
    expect(load({ env: `PORT_FILE=${file('port', '7')}\n` }).values.PORT).toBe(7);
    expect(load({ environment: { PORT_FILE: file('port', '7') }, env: 'PORT=9\n' }).values.PORT).toBe(7);
  });

  it('and NAME together in one place are an error that names both', () => {
    expect(complaint({ environment: { PORT: '1', PORT_FILE: file('port', '7') } })).toBe('PORT is given twice: as PORT and as PORT_FILE. Keep one of them.');
    expect(complaint({ env: `PORT=1\nPORT_FILE=${file('port', '7')}\n` })).toContain('given twice');
  });

  it('that cannot be read is an error that names the file', () => {
    expect(complaint({ environment: { PORT_FILE: join(directory, 'nowhere') } })).toBe(`PORT_FILE names ${join(directory, 'nowhere')}, which cannot be read: ENOENT.`);
  });

  it('with a wrong value is the same error as a wrong value', () => {
    expect(complaint({ environment: { PORT_FILE: file('port', 'eighty') } })).toContain('PORT is "eighty"');
  });
});

describe('a wrong value', () => {
  it('is one line with the setting, the value and what is allowed', () => {
    expect(complaint({ environment: { PORT: 'eighty' } })).toBe('PORT is "eighty"; it must be a whole number from 0 to 65535.');
    expect(complaint({ environment: { PULL: 'sometimes' } })).toBe('PULL is "sometimes"; it must be missing, always or never.');
    expect(complaint({ env: 'START_TIMEOUT=soon\n' })).toContain('START_TIMEOUT is "soon"; it must be a duration');
  });

  it('stays one line, whatever is in it', () => {
    expect(complaint({ environment: { PORT: '1\n2' } })).not.toContain('\n');
  });

  it('of a secret is not shown', () => {
    const message = complaint({ environment: { API_TOKEN: 'too short' } });
    expect(message).toBe('API_TOKEN is not usable; it must be at least 16 printable ASCII characters without blanks.');
  });

  it('is found in every setting that is not free text', () => {
    const free = new Set(['CONFIG_DIR', 'DOCKER_CERT_PATH', 'DOCKER_AUTH_USERNAME', 'DOCKER_AUTH_EMAIL', 'DOCKER_AUTH_PASSWORD', 'DOCKER_CONFIG', 'QUIET', 'NETWORK', 'SSH_ADMIN_KEY', 'BUILD_PUSH', 'GO_IMAGE', 'REMOTE_ALLOW', 'WEBHOOK_SECRET']);
    const checked = Object.keys(SETTINGS).filter((name) => !free.has(name));
    for (const name of checked) expect(complaint({ environment: { [name]: '§ ?' } })).toContain(name);
  });
});

describe('warnings', () => {
  it('name what is in .env and is no setting', () => {
    const { warnings } = load({ env: 'ALOW=alice/*\nPORT=81\nPIPES_URL=http://localhost\nPORTS_FILE=x\n' });
    expect(warnings).toEqual([expect.stringContaining('ALOW'), expect.stringContaining('PORTS_FILE')]);
  });

  it('do not speak of other names in the environment, which belong to other programs', () => {
    expect(load({ environment: { PATH: '/bin', ALOW: 'x' } }).warnings).toEqual([]);
  });

  it('name settings that have no effect yet, and only when somebody set them', () => {
    const later = Object.entries(SETTINGS).find(([, setting]) => 'later' in setting && typeof setting.fallback === 'string' && setting.fallback !== '');
    if (later === undefined) return; // All is built.
    const [name, { fallback }] = later;
    expect(load({ environment: { [name]: fallback } }).warnings).toEqual([expect.stringContaining(name)]);
  });
});

describe('what `pipes config` shows', () => {
  const secret = 'a-token-of-enough-length';

  it('is every setting with value and origin', () => {
    const rows = describeSettings(load({ environment: { PORT: '81' }, env: `PULL=never\nBIND_FILE=${file('bind', '::1')}\n` }));
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(SETTINGS));
    expect(rows.find(({ name }) => name === 'PORT')).toMatchObject({ value: '81', origin: 'environment' });
    expect(rows.find(({ name }) => name === 'PULL')).toMatchObject({ value: 'never', origin: '.env' });
    expect(rows.find(({ name }) => name === 'BIND')).toMatchObject({ value: '::1', origin: '.env (BIND_FILE)' });
    expect(rows.find(({ name }) => name === 'API_TOKEN')).toMatchObject({ value: null, origin: 'unset' });
  });

  it.each([
    ['the environment', () => ({ environment: { API_TOKEN: secret, DOCKER_AUTH_PASSWORD: secret, WEBHOOK_SECRET: secret } })],
    ['.env', () => ({ env: `API_TOKEN=${secret}\nDOCKER_AUTH_PASSWORD=${secret}\n` })],
    ['a file', () => ({ environment: { API_TOKEN_FILE: file('token', secret) } })],
  ])('masks secrets from %s', (_where, given) => {
    const shown = JSON.stringify(describeSettings(load(given())));
    expect(shown).not.toContain(secret);
    expect(shown).toContain('********');
  });
});

describe('a .env that is there and cannot be read', () => {
  it('stops the start', () => {
    const envFile = join(file('plain', ''), '.env');
    expect(() => loadSettings({ environment: {}, envFile, inImage: false })).toThrow(`${envFile} cannot be read: ENOTDIR.`);
  });
});
