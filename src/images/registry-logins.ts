import { readFile, stat } from 'node:fs/promises';
import { PipesError } from '../core/errors.ts';
import { readDockerConfig } from './docker-config.ts';
import type { RegistryLogin } from './registry-login.ts';

export type { RegistryLogin } from './registry-login.ts';

export interface RegistryLoginsOptions {
  /** The login for `REGISTRY` from `DOCKER_AUTH_USERNAME`, `…_PASSWORD`, `…_EMAIL`; it wins over the file. */
  readonly own: RegistryLogin | undefined;
  /** `$DOCKER_CONFIG/config.json`, as `docker login` writes it; it need not exist. */
  readonly dockerConfigPath: string | undefined;
  /** Told once for each thing in the file that pipes cannot use, such as a credential helper. */
  readonly warn: (line: string) => void;
}

/**
 * The logins that pulls use, by registry. The file is looked at again at each pull, so a new `docker login` needs no restart.
 */
export class RegistryLogins {
  readonly #options: RegistryLoginsOptions;
  readonly #warned = new Set<string>();
  #fromFile = new Map<string, RegistryLogin>();
  #readVersion = '';

  constructor(options: RegistryLoginsOptions) {
    this.#options = options;
  }

  /**
   * Reads the file for the first time, so that a broken one stops the start.
   * @throws PipesError `invalid_request`, naming the file and what is wrong with it
   */
  async start(): Promise<void> {
    await this.#refresh();
  }

  /** The login for this registry (as in `ImageRef`); undefined when there is none. A file that broke since the start leaves what was read before. */
  async loginFor(registry: string): Promise<RegistryLogin | undefined> {
    if (this.#options.own?.registry === registry) return this.#options.own;
    await this.#refresh().catch((error: unknown) => this.#warn(error instanceof Error ? error.message : String(error)));
    return this.#fromFile.get(registry);
  }

  async #refresh(): Promise<void> {
    const path = this.#options.dockerConfigPath;
    if (path === undefined) return;
    const version = await versionOf(path);
    if (version === this.#readVersion) return;
    // Remembered before reading: a file that changes meanwhile is read once more, never once too few.
    this.#readVersion = version;
    if (version === ABSENT) {
      this.#fromFile = new Map();
      return;
    }
    const { logins, warnings } = readDockerConfig(await readText(path), path);
    this.#fromFile = new Map(logins.map((login) => [login.registry, login]));
    for (const warning of warnings) this.#warn(warning);
  }

  #warn(line: string): void {
    if (this.#warned.has(line)) return;
    this.#warned.add(line);
    this.#options.warn(line);
  }
}

const ABSENT = 'absent';

/** Changes whenever the file does: `docker login` replaces it, so its inode counts as well as its time. */
async function versionOf(path: string): Promise<string> {
  try {
    const found = await stat(path, { bigint: true });
    return `${found.mtimeNs} ${found.size} ${found.ino}`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return ABSENT;
    throw new PipesError('invalid_request', `The logins in ${path} cannot be read (${code ?? 'unknown error'}).`, { cause: error });
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PipesError('invalid_request', `The logins in ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`, { cause: error });
  }
}
