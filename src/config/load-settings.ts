import { readFileSync } from 'node:fs';
import { parse as parseDotenv } from 'dotenv';
import { CLIENT_SETTINGS, SETTINGS, type Setting, type SettingName, type Settings } from './settings.ts';

/** Where a value came from. */
export type Origin = 'environment' | '.env' | 'default' | 'unset';

export interface LoadedSetting {
  readonly name: SettingName;
  /** As written, secrets too; undefined when unset. */
  readonly text: string | undefined;
  readonly origin: Origin;
  /** The file that holds the value, when `NAME_FILE` named one. */
  readonly file: string | undefined;
}

export interface LoadedSettings {
  readonly values: Settings;
  readonly sources: readonly LoadedSetting[];
  /** What the start should say: unknown names in `.env`, settings without effect yet. */
  readonly warnings: readonly string[];
}

/** A setting that cannot be used. The message is the one line that the start ends with. */
export class SettingsError extends Error {}

export interface SettingsSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Path of the `.env` file; it need not exist. */
  readonly envFile: string;
  /** Whether pipes runs from its container image, which has defaults of its own. */
  readonly inImage: boolean;
}

/**
 * Reads every setting: the environment wins over `.env`, and both may name a file (`NAME_FILE`) instead of the value.
 * An empty value counts as unset, as in Docker Compose.
 * @throws SettingsError naming setting, value and what is allowed; also when a setting is given both as X and X_FILE
 */
export function loadSettings(sources: SettingsSources): LoadedSettings {
  const dotenv = readEnvFile(sources.envFile);
  const loaded = (Object.keys(SETTINGS) as SettingName[]).map((name) => find(name, sources, dotenv));
  const values = Object.fromEntries(loaded.map((entry) => [entry.name, read(entry)])) as unknown as Settings;
  return { values, sources: loaded, warnings: [...unknownNames(dotenv, sources.envFile), ...withoutEffect(loaded)] };
}

/** What `pipes config` shows: every setting with its origin, secrets masked. */
export function describeSettings({ sources }: LoadedSettings): { readonly name: string; readonly value: string | null; readonly origin: string; readonly doc: string }[] {
  return sources.map(({ name, text, origin, file }) => {
    const { secret, doc } = SETTINGS[name] as Setting<unknown>;
    return { name, value: text === undefined ? null : secret ? '********' : text, origin: file === undefined ? origin : `${origin} (${name}_FILE)`, doc };
  });
}

function find(name: SettingName, sources: SettingsSources, dotenv: Readonly<Record<string, string>>): LoadedSetting {
  const { fallback, inImage } = SETTINGS[name] as Setting<unknown>;
  for (const [origin, values] of [['environment', sources.environment], ['.env', dotenv]] as const) {
    const text = nonEmpty(values[name]);
    const file = nonEmpty(values[`${name}_FILE`]);
    if (text !== undefined && file !== undefined) throw new SettingsError(`${name} is given twice: as ${name} and as ${name}_FILE. Keep one of them.`);
    if (text !== undefined) return { name, text, origin, file: undefined };
    if (file !== undefined) return { name, text: readValueFile(name, file), origin, file };
  }
  const text = sources.inImage ? (inImage ?? fallback) : fallback;
  return { name, text, origin: text === undefined ? 'unset' : 'default', file: undefined };
}

function read({ name, text }: LoadedSetting): unknown {
  if (text === undefined) return undefined;
  const { kind, secret } = SETTINGS[name] as Setting<unknown>;
  const value = kind.parse(text);
  if (value === undefined) throw new SettingsError(`${name} is ${secret ? 'not usable' : JSON.stringify(text)}; it must be ${kind.allowed}.`);
  return value;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

function readValueFile(name: string, file: string): string {
  let text;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (thrown) {
    throw new SettingsError(`${name}_FILE names ${file}, which cannot be read: ${(thrown as NodeJS.ErrnoException).code ?? String(thrown)}.`);
  }
  // Whoever names a file wants its value; most often the secret did not get there.
  if (text === '') throw new SettingsError(`${name}_FILE names ${file}, which is empty.`);
  return text;
}

function readEnvFile(path: string): Record<string, string> {
  try {
    return parseDotenv(readFileSync(path));
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EISDIR') return {};
    throw new SettingsError(`${path} cannot be read: ${code ?? String(thrown)}.`);
  }
}

function unknownNames(dotenv: Readonly<Record<string, string>>, path: string): string[] {
  return Object.keys(dotenv)
    .filter((name) => !CLIENT_SETTINGS.includes(name) && !Object.hasOwn(SETTINGS, name.replace(/_FILE$/, '')) && !Object.hasOwn(SETTINGS, name))
    .map((name) => `${path} sets ${name}, which is no setting of pipes`);
}

function withoutEffect(loaded: readonly LoadedSetting[]): string[] {
  return loaded
    .filter(({ name, origin }) => (origin === 'environment' || origin === '.env') && (SETTINGS[name] as Setting<unknown>).later)
    .map(({ name }) => `${name} is set, but what it belongs to is not built yet: it has no effect`);
}
