import { describe, expect, it } from 'vitest';
import { BoundedQueue } from '../../../src/core/bounded-queue.ts';
import { PipesError, type ErrorCode } from '../../../src/core/errors.ts';
import { parseImageRef, printImageRef, type ImageRef } from '../../../src/images/image-ref.ts';
import type { ImageStore, LayerProgress, LocalImage, PullListener } from '../../../src/images/image-store.ts';
import { ImageSupply } from '../../../src/images/image-supply.ts';
import type { RegistryLogin } from '../../../src/images/registry-logins.ts';

const LOGIN: RegistryLogin = { registry: 'docker.io', username: 'alice', password: 'secret' };
const LAYER: LayerProgress = { id: 'a', phase: 'downloading', doneBytes: 1, totalBytes: 2 };

/** An engine and a registry in memory: names in, names out. */
class World implements ImageStore {
  readonly local = new Set<string>();
  readonly remote = new Set<string>();
  readonly pulls: string[] = [];
  /** What every pull fails with, instead of looking at `remote`. */
  failure: ErrorCode | undefined;
  tagsFailure: ErrorCode | undefined;
  login: RegistryLogin | undefined;
  now = 0;
  hold: Promise<void> | undefined;
  listener: PullListener | undefined;

  find(ref: ImageRef): Promise<LocalImage | undefined> {
    const name = printImageRef(ref);
    return Promise.resolve(this.local.has(name) ? { id: name, digest: undefined, exposedPorts: [], sizeBytes: 0 } : undefined);
  }
  localTags(): Promise<string[]> {
    return Promise.resolve([...this.local].map((name) => parseImageRef(name)!.tag));
  }
  async pull(ref: ImageRef, _login: RegistryLogin | undefined, listener: PullListener, signal: AbortSignal): Promise<void> {
    this.pulls.push(printImageRef(ref));
    this.listener = listener;
    if (this.hold) await Promise.race([this.hold, new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))]);
    if (this.failure) throw new PipesError(this.failure, 'no');
    if (!this.remote.has(printImageRef(ref))) throw new PipesError('image_not_found', 'no');
    this.local.add(printImageRef(ref));
  }
  supply(options: { pullTimeoutMs?: number; waitingLimit?: number } = {}): ImageSupply {
    return new ImageSupply({
      store: this,
      registry: {
        tags: async () => {
          if (this.tagsFailure) throw new PipesError(this.tagsFailure, 'no');
          return await Promise.resolve([...this.remote].map((name) => parseImageRef(name)!.tag));
        },
        digest: async () => await Promise.reject(new Error('nobody asks')),
      },
      logins: { loginFor: async () => await Promise.resolve(this.login) },
      queue: new BoundedQueue({ name: 'pulls', concurrency: 1, waitingLimit: options.waitingLimit ?? 10 }),
      pullTimeoutMs: options.pullTimeoutMs ?? Infinity,
      now: () => this.now,
    });
  }
}

const name = (tag: string): string => `docker.io/alice/web:${tag}`;
const ref = (tag: string): ImageRef => parseImageRef(name(tag))!;

describe('ImageSupply.ensure', () => {
  it('takes the local image without a pull, pulls a missing one, and always pulls when told so', async () => {
    const world = new World();
    world.local.add(name('here'));
    world.remote.add(name('here')).add(name('there'));
    const supply = world.supply();
    await supply.ensure(ref('here'), 'missing');
    expect(world.pulls).toEqual([]);
    expect((await supply.ensure(ref('there'), 'missing')).image.id).toBe(name('there'));
    await supply.ensure(ref('here'), 'always');
    expect(world.pulls).toEqual([name('there'), name('here')]);
  });

  it('pulls nothing when it never may', async () => {
    const world = new World();
    world.remote.add(name('there'));
    world.local.add(name('Here'));
    await expect(world.supply().ensure(ref('there'), 'never')).rejects.toMatchObject({ code: 'image_not_found' });
    expect((await world.supply().ensure(ref('here'), 'never')).ref.tag).toBe('Here');
    expect(world.pulls).toEqual([]);
  });

  it('pulls once for all, tells all, and goes on when one leaves', async () => {
    const world = new World();
    world.remote.add(name('v1'));
    let finish!: () => void;
    world.hold = new Promise((resolve) => (finish = resolve));
    const supply = world.supply();
    const leaving = new AbortController();
    const told: string[] = [];
    const left = supply.ensure(ref('v1'), 'missing', { signal: leaving.signal, listener: () => told.push('left') });
    const stayed = supply.ensure(ref('v1'), 'missing', { listener: () => told.push('stayed') });
    await expect.poll(() => world.listener).toBeDefined();
    world.listener!([LAYER]);
    expect(told).toEqual(['left', 'stayed']);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    world.listener!([LAYER]);
    expect(told).toEqual(['left', 'stayed', 'stayed']);
    const late = supply.ensure(ref('v1'), 'missing', { listener: () => told.push('late') });
    await expect.poll(() => told).toEqual(['left', 'stayed', 'stayed', 'late']);
    finish();
    await Promise.all([stayed, late]);
    expect(world.pulls).toEqual([name('v1')]);
  });

  it('tells who waits for a turn how many come first, those who come later too', async () => {
    const world = new World();
    for (const tag of ['v0', 'v1', 'v2']) world.remote.add(name(tag));
    let finish!: () => void;
    world.hold = new Promise((resolve) => (finish = resolve));
    const supply = world.supply();
    const told: string[] = [];
    const ask = (tag: string, who: string): Promise<unknown> => supply.ensure(ref(tag), 'missing', { listener: () => undefined, onPosition: (ahead) => told.push(`${who} ${ahead}`) });
    const all = [ask('v0', 'busy')];
    await expect.poll(() => world.pulls.length).toBe(1);
    all.push(ask('v1', 'first'));
    await expect.poll(() => told).toEqual(['first 0']);
    all.push(ask('v2', 'second'));
    await expect.poll(() => told).toEqual(['first 0', 'second 1']);
    all.push(ask('v2', 'late'));
    await expect.poll(() => told).toEqual(['first 0', 'second 1', 'late 1']);
    finish();
    await Promise.all(all);
    expect(told).toContain('late 0');
  });

  it.each([
    ['in the registry', ['Main'], [], 'Main'],
    ['here', [], ['Main'], 'Main'],
    ['in both', ['Main'], ['Main'], 'Main'],
    ['but the tag as written exists', ['Main', 'main'], ['MAIN'], 'main'],
  ])('means the one tag that differs by case %s', async (_where, remote, local, expected) => {
    const world = new World();
    remote.forEach((tag) => world.remote.add(name(tag)));
    local.forEach((tag) => world.local.add(name(tag)));
    expect((await world.supply().ensure(ref('main'), 'missing')).ref.tag).toBe(expected);
  });

  it('names both when two tags differ by case', async () => {
    const world = new World();
    world.remote.add(name('Main'));
    world.local.add(name('MAIN'));
    const error = await world.supply().ensure(ref('main'), 'missing').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'tag_ambiguous', status: 409, members: { candidates: [name('MAIN'), name('Main')] } });
  });

  it('asks nothing about the tags of a digest', async () => {
    const world = new World();
    world.local.add(name('MAIN'));
    const digest: ImageRef = { ...ref('main'), digest: `sha256:${'0'.repeat(64)}` };
    await expect(world.supply().ensure(digest, 'missing')).rejects.toMatchObject({ code: 'image_not_found' });
  });

  it('uses what is here when the registry cannot be reached', async () => {
    const world = new World();
    world.failure = 'registry_unavailable';
    world.local.add(name('v1')).add(name('Main')).add(name('Two')).add(name('TWO'));
    const supply = world.supply();
    expect((await supply.ensure(ref('v1'), 'always')).ref.tag).toBe('v1');
    expect((await supply.ensure(ref('main'), 'missing')).ref.tag).toBe('Main');
    await expect(supply.ensure(ref('two'), 'missing')).rejects.toMatchObject({ code: 'registry_unavailable' });
    await expect(supply.ensure(ref('v2'), 'missing')).rejects.toMatchObject({ code: 'registry_unavailable' });
  });

  it('takes a denial for "no such image" only without a login', async () => {
    const world = new World();
    world.failure = 'registry_denied';
    world.tagsFailure = 'registry_denied';
    await expect(world.supply().ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code: 'image_not_found' });
    world.login = LOGIN;
    await expect(world.supply().ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code: 'registry_denied' });
  });

  it('remembers a missing image for 30 s, says how much is left, and forgets when told', async () => {
    const world = new World();
    const supply = world.supply();
    await expect(supply.ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code: 'image_not_found', retryAfterS: 30 });
    world.remote.add(name('v1'));
    world.now = 12_500;
    expect([supply.isKnownMissing(ref('v1')), supply.isKnownMissing(ref('v2'))]).toEqual([true, false]);
    await expect(supply.ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code: 'image_not_found', retryAfterS: 18 });
    expect(world.pulls).toHaveLength(1);
    world.now = 30_000;
    expect(supply.isKnownMissing(ref('v1'))).toBe(false);
    expect((await supply.ensure(ref('v1'), 'missing')).ref.tag).toBe('v1');
    await expect(supply.ensure(ref('v2'), 'missing')).rejects.toMatchObject({ code: 'image_not_found' });
    world.remote.add(name('v2'));
    supply.forget(ref('v2'));
    expect((await supply.ensure(ref('v2'), 'missing')).ref.tag).toBe('v2');
  });

  it('finds an image that came here while it was remembered as missing', async () => {
    const world = new World();
    const supply = world.supply();
    await expect(supply.ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code: 'image_not_found' });
    world.local.add(name('v1'));
    expect((await supply.ensure(ref('v1'), 'missing')).image.id).toBe(name('v1'));
  });

  it('bounds the time of a pull, and the number that wait', async () => {
    const world = new World();
    world.hold = new Promise(() => undefined);
    await expect(world.supply({ pullTimeoutMs: 5 }).ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code: 'pull_timeout', status: 504 });
    const supply = world.supply({ waitingLimit: 0, pullTimeoutMs: 200 });
    const first = supply.ensure(ref('v1'), 'missing').catch((thrown: unknown) => thrown);
    await expect.poll(() => world.pulls.length).toBe(2);
    await expect(supply.ensure(ref('v2'), 'missing')).rejects.toMatchObject({ code: 'queue_full' });
    expect(await first).toMatchObject({ code: 'pull_timeout' });
  });

  it('passes other failures on as they are', async () => {
    const world = new World();
    for (const code of ['disk_full', 'image_unusable', 'engine_unavailable'] as const) {
      world.failure = code;
      await expect(world.supply().ensure(ref('v1'), 'missing')).rejects.toMatchObject({ code });
    }
  });
});
