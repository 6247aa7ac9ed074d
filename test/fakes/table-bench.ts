import { pino } from 'pino';
import { BoundedQueue } from '../../src/core/bounded-queue.ts';
import { PipesError } from '../../src/core/errors.ts';
import type { Log } from '../../src/core/log.ts';
import { steadyMs } from '../../src/core/steady-clock.ts';
import { printImageRef, type ImageRef } from '../../src/images/image-ref.ts';
import type { LocalImage, PullListener } from '../../src/images/image-store.ts';
import { InstanceTable, type TableOptions } from '../../src/instances/instance-table.ts';
import type { ImageSource } from '../../src/instances/launcher.ts';
import { Starter } from '../../src/instances/starter.ts';
import type { TargetConfigStore } from '../../src/targets/target-config-store.ts';
import type { ConfigDefaults, TargetConfig } from '../../src/targets/target-config.ts';
import { TargetResolver } from '../../src/targets/target-resolver.ts';
import { FakeBackend } from './fake-backend.ts';
import { DEFAULTS } from './specs.ts';

/** Images that are there, but for the ones that a test takes away. */
export class FakeImages implements ImageSource {
  readonly missing = new Set<string>();
  /** Names of them that are remembered. */
  readonly knownMissing = new Set<string>();
  /** True tags of repositories where hosts write them in lower case. */
  readonly trueTags = new Map<string, string>();
  /** Ids by image name, where a tag has moved. */
  readonly ids = new Map<string, string>();
  readonly digests = new Map<string, string>();
  asked = 0;
  /** Layers to tell before the image is there. */
  layers: Parameters<PullListener>[0] = [];

  isKnownMissing(ref: ImageRef): boolean {
    return this.knownMissing.has(printImageRef(ref));
  }

  async ensure(ref: ImageRef, _policy: string, { listener }: { listener?: PullListener }): Promise<{ ref: ImageRef; image: LocalImage }> {
    this.asked += 1;
    await Promise.resolve();
    const name = printImageRef(ref);
    if (this.missing.has(name)) throw new PipesError('image_not_found', `There is no ${name}.`);
    if (this.layers.length > 0) listener?.(this.layers);
    const image = { id: this.ids.get(name) ?? 'sha256:fake', digest: this.digests.get(name) ?? 'sha256:digest', exposedPorts: [80], sizeBytes: 1 };
    return { ref: { ...ref, tag: this.trueTags.get(name) ?? ref.tag }, image };
  }
}

/** Configurations in memory. */
export class FakeConfigs implements TargetConfigStore {
  /** Reckoned with as if everything changed between any two looks. */
  get revision(): number {
    return (this.#looks += 1);
  }
  #looks = 0;
  readonly containers = new Map<string, TargetConfig>();
  readonly repositories = new Map<string, TargetConfig>();
  container(reference: string): TargetConfig | undefined {
    return this.containers.get(reference);
  }
  repository(repository: string): TargetConfig | undefined {
    return this.repositories.get(repository);
  }
  configuredReferences(): string[] {
    return [...this.containers.keys()];
  }
  setContainer(reference: string, config: TargetConfig): Promise<void> {
    this.containers.set(reference, config);
    return Promise.resolve();
  }
  setRepository(repository: string, config: TargetConfig): Promise<void> {
    this.repositories.set(repository, config);
    return Promise.resolve();
  }
}

export interface TableBench {
  readonly table: InstanceTable;
  readonly backend: FakeBackend;
  readonly images: FakeImages;
  readonly configs: FakeConfigs;
  /** What the log was told at level warn and above. */
  readonly complaints: string[];
  close(): Promise<void>;
}

/** A table over a fake engine, as pipes.ts builds it over a real one. */
export function makeTable(options: Partial<TableOptions> & { readonly defaults?: Partial<ConfigDefaults>; readonly backend?: FakeBackend } = {}): TableBench {
  const backend = options.backend ?? new FakeBackend();
  const images = new FakeImages();
  const configs = new FakeConfigs();
  const complaints: string[] = [];
  const log: Log = pino({ level: 'warn' }, { write: (line: string) => complaints.push(line) });
  const resolver = new TargetResolver({
    registry: { registry: 'docker.io', prefix: '' },
    defaults: { ...DEFAULTS, ...options.defaults },
    configs,
    assertMayRun: (repository) => {
      if (repository.startsWith('forbidden/')) throw new PipesError('image_forbidden', 'No.');
    },
  });
  const table = new InstanceTable({
    images,
    starter: new Starter(backend),
    startQueue: new BoundedQueue({ name: 'starts', concurrency: 8, waitingLimit: 100 }),
    resolver,
    log,
    now: steadyMs,
    maxRunning: Infinity,
    roomTimeoutMs: 1_000,
    drainTimeoutMs: 1_000,
    stopGraceS: 1,
    adoptForeign: true,
    reconcileEveryMs: 60_000,
    admitColdStart: () => undefined,
    onEnded: () => undefined,
    onWoken: () => undefined,
    ...options,
    backend,
  });
  return {
    table,
    backend,
    images,
    configs,
    complaints,
    close: async () => {
      await table.close();
      await backend.close();
    },
  };
}
