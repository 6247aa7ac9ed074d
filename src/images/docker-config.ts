import { z } from 'zod';
import { PipesError } from '../core/errors.ts';
import { normaliseRegistry } from './image-ref.ts';
import type { RegistryLogin } from './registry-login.ts';

/** What a `config.json` of the Docker command line says about logins. */
export interface DockerConfigLogins {
  readonly logins: readonly RegistryLogin[];
  /** What is in the file and cannot be used, one sentence each. No secret is in them. */
  readonly warnings: readonly string[];
}

const DockerConfig = z.object({
  auths: z
    .record(
      z.string(),
      z.object({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        email: z.string().optional(),
        identitytoken: z.string().optional(),
      }),
    )
    .optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});

/**
 * Reads the file's text (format: Docker CLI, `config.json`, keys `auths`, `credHelpers`, `credsStore`); other keys do not matter.
 * @param path for messages
 * @throws PipesError `invalid_request`, naming the file and what is wrong with it
 */
export function readDockerConfig(text: string, path: string): DockerConfigLogins {
  const config = parse(text, path);
  const warnings: string[] = [];
  const logins: RegistryLogin[] = [];
  for (const [key, entry] of Object.entries(config.auths ?? {})) {
    const registry = registryOfKey(key);
    const [username, password] = entry.auth ? decodePair(entry.auth, key, path) : [entry.username ?? '', entry.password ?? ''];
    const identityToken = entry.identitytoken ?? '';
    // With a credential store the file keeps only an empty entry per registry; the warning below speaks for it.
    if (username === '' && identityToken === '') continue;
    logins.push({ registry, username, password, ...(entry.email ? { email: entry.email } : {}), ...(identityToken ? { identityToken } : {}) });
  }
  if (config.credsStore) warnings.push(`${path}: the credential store "${config.credsStore}" (credsStore) is not supported; its logins are not used.`);
  for (const [key, helper] of Object.entries(config.credHelpers ?? {})) {
    warnings.push(`${path}: the credential helper "${helper}" for ${registryOfKey(key)} (credHelpers) is not supported; its login is not used.`);
  }
  return { logins, warnings };
}

function parse(text: string, path: string): z.infer<typeof DockerConfig> {
  let json: unknown;
  try {
    json = JSON.parse(text.trim() === '' ? '{}' : text);
  } catch {
    // The parser's own message quotes the text around the fault, which may be a password.
    throw new PipesError('invalid_request', `The logins in ${path} cannot be read: the file is not valid JSON.`);
  }
  const checked = DockerConfig.safeParse(json);
  if (checked.success) return checked.data;
  const fault = checked.error.issues[0]!;
  throw new PipesError('invalid_request', `The logins in ${path} cannot be read: ${fault.path.map(String).join(' → ') || 'the file'}: ${fault.message}.`);
}

/** `https://index.docker.io/v1/`, `http://host:5000/v2/`, `host:5000` all name a registry's host. */
function registryOfKey(key: string): string {
  return normaliseRegistry(key.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '').toLowerCase());
}

function decodePair(auth: string, key: string, path: string): [string, string] {
  const pair = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = pair.indexOf(':');
  if (colon < 1) throw new PipesError('invalid_request', `The logins in ${path} cannot be read: "auth" of ${key} is not base64 of user:password.`);
  return [pair.slice(0, colon), pair.slice(colon + 1)];
}
