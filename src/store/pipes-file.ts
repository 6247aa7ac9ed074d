import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Low } from 'lowdb';
import { z } from 'zod';
import { PipesError } from '../core/errors.ts';
import type { PulledImage, PulledImageStore } from '../images/pulled-images.ts';
import type { StoredToken, TokenStore } from '../security/api/token-store.ts';
import type { BoundDomains, DomainStore } from '../targets/domain-store.ts';
import type { TargetConfigStore } from '../targets/target-config-store.ts';
import type { TargetConfig } from '../targets/target-config.ts';
import { ConfigDirLock } from './config-dir-lock.ts';
import { DurableFile } from './durable-file.ts';
import { migrate } from './migrations.ts';
import { State, firstState } from './state.ts';

/**
 * `CONFIG_DIR/pipes.json`: all that persists. Reading is from memory. A write resolves once it is on the disk; one that
 * rejects has changed neither memory nor disk. Writes that wait for an earlier one go to the disk together.
 *
 * Between `start` and `stop` it holds the directory's lock.
 */
export class PipesFile implements TargetConfigStore, TokenStore, PulledImageStore, DomainStore {
  readonly #configDir: string;
  readonly #file: DurableFile;
  readonly #lock: ConfigDirLock;
  #low: Low<State> | undefined;
  #revision = 0;
  #waiting: WaitingChange[] = [];
  #writing: Promise<void> | undefined;
  #stopped = false;

  constructor(configDir: string, file: DurableFile = new DurableFile(join(configDir, 'pipes.json'))) {
    this.#configDir = configDir;
    this.#file = file;
    this.#lock = new ConfigDirLock(configDir);
  }

  /**
   * Takes the directory and reads the file, or makes both.
   * @throws PipesError whose message is the one line to stop the start with
   */
  async start(): Promise<void> {
    await mkdir(this.#configDir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw new PipesError('internal', `CONFIG_DIR ${this.#configDir} cannot be made (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
    });
    await this.#lock.take();
    try {
      const low = new Low<State>(this.#checkedFile(), firstState());
      await this.#file.removeLeftovers();
      const isFirst = (await this.#file.read()) === undefined;
      if (isFirst) await low.write();
      else await low.read();
      this.#low = low;
    } catch (error) {
      await this.#lock.release();
      throw error;
    }
  }

  /** Finishes the writes that were asked for, refuses new ones, and gives the directory back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
    await this.#lock.release();
  }

  /** A random id, made at the first start; containers carry it as their label `pipes.owner`. */
  get owner(): string {
    return this.#state.owner;
  }

  get revision(): number {
    return this.#revision;
  }

  container(reference: string): TargetConfig | undefined {
    return ownEntry(this.#state.containers, reference);
  }

  repository(repository: string): TargetConfig | undefined {
    return ownEntry(this.#state.repositories, repository);
  }

  configuredReferences(): string[] {
    return Object.keys(this.#state.containers);
  }

  /** An empty configuration is the same as none, and leaves nothing behind. */
  async setContainer(reference: string, config: TargetConfig): Promise<void> {
    const kept = structuredClone(config);
    await this.#change((state) => ({ ...state, containers: withEntry(state.containers, reference, kept) }));
  }

  async setRepository(repository: string, config: TargetConfig): Promise<void> {
    const kept = structuredClone(config);
    await this.#change((state) => ({ ...state, repositories: withEntry(state.repositories, repository, kept) }));
  }

  tokens(): readonly StoredToken[] {
    return this.#state.tokens as readonly StoredToken[];
  }

  async putToken(token: StoredToken): Promise<void> {
    const kept: State['tokens'][number] = { ...token, scopes: [...token.scopes] };
    await this.#change((state) => ({ ...state, tokens: [...state.tokens.filter((other) => other.name !== token.name), kept] }));
  }

  async removeToken(name: string): Promise<boolean> {
    let found = false;
    await this.#change((state) => {
      found = state.tokens.some((token) => token.name === name);
      return found ? { ...state, tokens: state.tokens.filter((token) => token.name !== name) } : state;
    });
    return found;
  }

  pulledImages(): readonly PulledImage[] {
    return this.#state.images;
  }

  async changePulledImages(change: (images: readonly PulledImage[]) => readonly PulledImage[]): Promise<void> {
    await this.#change((state) => {
      const images = change(state.images);
      return images === state.images ? state : { ...state, images: [...images] };
    });
  }

  domains(): BoundDomains {
    return this.#state.domains;
  }

  async changeDomains(change: (domains: BoundDomains) => BoundDomains): Promise<void> {
    await this.#change((state) => {
      const domains = change(state.domains);
      return domains === state.domains ? state : { ...state, domains: { ...domains } };
    });
  }

  get #state(): State {
    if (!this.#low) throw new Error('PipesFile is used before start()');
    return this.#low.data;
  }

  /** The file as lowdb's adapter: what it reads is migrated and checked. */
  #checkedFile(): { read: () => Promise<State | null>; write: (state: State) => Promise<void> } {
    const file = this.#file;
    return {
      read: async () => {
        const document = await file.read();
        return document === undefined ? null : checkState(document, file);
      },
      write: (state) => file.write(state),
    };
  }

  #change(change: Change): Promise<void> {
    if (this.#stopped) return Promise.reject(new PipesError('shutting_down', 'pipes is stopping; nothing more is written.'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      this.#writing ??= this.#writeWaiting().finally(() => (this.#writing = undefined));
    });
  }

  /** Never rejects: each change is told of its own end. */
  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const before = this.#state;
      const { batch, next } = applied(this.#waiting.splice(0), before);
      try {
        // A new Low for each state: the old one, and with it what readers see, stands until the new state is on the disk.
        const low = new Low<State>(this.#checkedFile(), next);
        if (next !== before) await low.write();
        this.#low = low;
        if (next.containers !== before.containers || next.repositories !== before.repositories) this.#revision += 1;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error as Error);
      }
    }
  }
}

/** From one state to the next; must not alter the one it is given. One that throws changes nothing. */
type Change = (state: State) => State;

interface WaitingChange {
  readonly change: Change;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The changes one after the other. One that throws is told so, and counts as never asked for. */
function applied(changes: readonly WaitingChange[], before: State): { batch: WaitingChange[]; next: State } {
  const batch: WaitingChange[] = [];
  let next = before;
  for (const waiting of changes) {
    try {
      next = waiting.change(next);
      batch.push(waiting);
    } catch (error) {
      waiting.reject(error as Error);
    }
  }
  return { batch, next };
}

function checkState(document: unknown, file: DurableFile): State {
  let migrated;
  try {
    migrated = migrate(document);
  } catch (error) {
    throw file.unreadable((error as Error).message, error);
  }
  const checked = State.safeParse(migrated);
  if (checked.success) return checked.data;
  throw file.unreadable(`its content is not what pipes writes (${firstFault(checked.error)})`);
}

function firstFault(error: z.ZodError): string {
  const issue = error.issues[0]!;
  const place = issue.path.map(String).join(' → ');
  const more = error.issues.length > 1 ? `, and ${error.issues.length - 1} more` : '';
  return `${place === '' ? '' : `${place}: `}${issue.message}${more}`;
}

function ownEntry(entries: Record<string, TargetConfig>, key: string): TargetConfig | undefined {
  return Object.hasOwn(entries, key) ? entries[key] : undefined;
}

function withEntry(entries: Record<string, TargetConfig>, key: string, config: TargetConfig): Record<string, TargetConfig> {
  const others = Object.fromEntries(Object.entries(entries).filter(([other]) => other !== key));
  return Object.keys(config).length === 0 ? others : { ...others, [key]: config };
}
