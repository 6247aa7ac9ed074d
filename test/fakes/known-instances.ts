import type { Observed } from '../../src/instances/backend.ts';
import { FakeBackend } from './fake-backend.ts';

/**
 * An engine on which nothing happens: so many containers are known, a third of them running, a third paused, a third stopped, all used
 * a moment ago. For what instances cost that nobody asks for.
 */
export class KnownInstances extends FakeBackend {
  /** How often it was asked for all of them. */
  lists = 0;
  readonly #count: number;
  readonly #since = new Date();

  constructor(count: number) {
    super();
    this.#count = count;
  }

  override list(): Promise<Observed[]> {
    this.lists += 1;
    return Promise.resolve(Array.from({ length: this.#count }, (_, index) => this.#known(index)));
  }

  override inspect(id: string): Promise<Observed | undefined> {
    return Promise.resolve(this.#known(Number(id)));
  }

  #known(index: number): Observed {
    const state = STATES[index % STATES.length]!;
    const isUp = state !== 'exited';
    const digest = `sha256:${String(index % 200).padStart(64, '0')}`;
    return {
      id: String(index).padStart(64, '0'),
      reference: `user${index % 50}/repo${index}:main`,
      managed: true,
      state,
      exitCode: isUp ? undefined : 0,
      oomKilled: false,
      startedAt: new Date(this.#since),
      finishedAt: isUp ? undefined : new Date(this.#since),
      imageDigest: digest,
      imageId: digest,
      imageRef: `docker.io/user${index % 50}/repo${index}:main`,
      configHash: '0123456789abcdef',
      upstream: isUp ? { host: `10.213.${index >> 8}.${index & 255}`, port: 80 } : undefined,
    };
  }
}

const STATES = ['running', 'paused', 'exited'] as const;
