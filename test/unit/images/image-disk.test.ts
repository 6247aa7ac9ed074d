import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { ImageDisk, type ImageDiskOptions } from '../../../src/images/image-disk.ts';
import { parseImageRef } from '../../../src/images/image-ref.ts';
import type { ImageLayer, ImageShelf, ShelvedImage } from '../../../src/images/image-shelf.ts';
import type { PulledImage } from '../../../src/images/pulled-images.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 1_000 * HOUR_MS;

interface Lying {
  names: string[];
  readonly layers: readonly ImageLayer[];
}

/** An engine's images, a list of those that were pulled, and a clock. */
class World implements ImageShelf {
  readonly images = new Map<string, Lying>();
  readonly containers = new Set<string>();
  readonly wanted = new Set<string>();
  readonly complaints: string[] = [];
  readonly removed: string[] = [];
  pulled: readonly PulledImage[] = [];
  writes = 0;
  nowMs = NOW_MS;
  /** What a removal waits for. */
  hold: Promise<void> | undefined;
  fails = false;

  list(): Promise<ShelvedImage[]> {
    if (this.fails) return Promise.reject(new Error('the engine is away'));
    return Promise.resolve([...this.images].map(([id, { names }]) => ({ id, names: [...names] })));
  }
  layers(id: string): Promise<readonly ImageLayer[]> {
    return Promise.resolve(this.images.get(id)?.layers ?? []);
  }
  idsOfContainers(): Promise<ReadonlySet<string>> {
    return Promise.resolve(this.containers);
  }
  async remove(nameOrId: string): Promise<boolean> {
    await this.hold;
    for (const [id, image] of this.images) {
      if (id !== nameOrId && !image.names.includes(nameOrId)) continue;
      if (this.containers.has(id)) return false;
      image.names = image.names.filter((name) => name !== nameOrId);
      if (image.names.length === 0) this.images.delete(id);
      this.removed.push(nameOrId);
    }
    return true;
  }

  /** An image that pipes pulled: `name` is `user/repo:tag`, its bits lie in layers of their own unless it says otherwise. */
  has(id: string, name: string, sizeBytes: number, { pullMs = 1_000, idleHours = 1, base = [] as ImageLayer[], isOurs = true } = {}): void {
    const full = `docker.io/${name}`;
    for (const image of this.images.values()) image.names = image.names.filter((other) => other !== full);
    const known = this.images.get(id);
    if (known) known.names.push(full);
    else this.images.set(id, { names: [full], layers: [...base, { key: id, sizeBytes }] });
    if (isOurs) this.pulled = [...this.pulled, { name: full, id, pullMs, lastUsedAtMs: NOW_MS - idleHours * HOUR_MS }];
  }

  disk(budgetBytes: number): ImageDisk {
    const options: ImageDiskOptions = {
      budgetBytes,
      shelf: this,
      store: {
        pulledImages: () => this.pulled,
        changePulledImages: (change) => {
          const next = change(this.pulled);
          if (next !== this.pulled) this.writes += 1;
          this.pulled = next;
          return Promise.resolve();
        },
      },
      isWanted: (name) => this.wanted.has(name),
      log: pino({ level: 'warn' }, { write: (line: string) => this.complaints.push(line) }),
      now: () => this.nowMs,
    };
    return new ImageDisk(options);
  }
}

const ref = (name: string) => parseImageRef(name)!;
const imageOf = (id: string) => ({ id, digest: undefined, exposedPorts: [], sizeBytes: 1 });

describe('ImageDisk', () => {
  it('removes nothing while all fits, and writes nothing then', async () => {
    const world = new World();
    world.has('a', 'alice/web:main', 50);
    world.has('b', 'alice/api:main', 50);
    await world.disk(100).tidy();
    expect([world.removed, world.writes, world.complaints]).toEqual([[], 0, []]);
  });

  it('removes until it fits: leftovers first, then the cheapest to bring back per byte, then what was not used for longest', async () => {
    const world = new World();
    world.has('left', 'alice/web:main', 10, { pullMs: 60_000 });
    world.has('web', 'alice/web:main', 100, { pullMs: 10_000 });
    world.has('slow', 'alice/slow:main', 100, { pullMs: 50_000 });
    world.has('cheap', 'alice/cheap:main', 100, { pullMs: 1_000 });
    world.has('old', 'alice/old:main', 100, { pullMs: 10_000, idleHours: 48 });
    const order: string[] = [];
    for (const budget of [400, 300, 200, 100, 0]) {
      await world.disk(budget).tidy();
      order.push(...world.removed.splice(0));
    }
    expect(order).toEqual(['left', 'docker.io/alice/old:main', 'docker.io/alice/cheap:main', 'docker.io/alice/web:main', 'docker.io/alice/slow:main']);
    expect(world.pulled).toEqual([]);
  });

  it('counts layers that images share once', async () => {
    const world = new World();
    const base = [{ key: 'base', sizeBytes: 1_000 }];
    for (const at of [1, 2, 3]) world.has(`i${at}`, `alice/app${at}:main`, 10, { base, pullMs: at * 1_000 });
    await world.disk(1_030).tidy();
    expect(world.removed).toEqual([]);
    await world.disk(1_020).tidy();
    expect(world.removed).toEqual(['docker.io/alice/app1:main']);
  });

  it('never removes an image of a container, one that is wanted, one that somebody else brought, or one with a name of somebody else', async () => {
    const world = new World();
    world.has('container', 'alice/container:main', 100);
    world.has('wanted', 'alice/wanted:main', 100);
    world.has('foreign', 'alice/foreign:main', 100, { isOurs: false });
    world.has('named', 'alice/named:main', 100);
    world.has('named', 'alice/byhand:1', 100, { isOurs: false });
    world.containers.add('container');
    world.wanted.add('docker.io/alice/wanted:main');
    await world.disk(0).tidy();
    expect(world.removed).toEqual([]);
    expect(world.complaints.join('')).toContain('all of them are in use');
    world.containers.clear();
    world.wanted.clear();
    await world.disk(0).tidy();
    expect(world.removed.sort()).toEqual(['docker.io/alice/container:main', 'docker.io/alice/wanted:main']);
    expect([...world.images.keys()]).toEqual(['foreign', 'named']);
  });

  it('removes an image with all the names that pipes pulled it by, and by none of them while another is wanted', async () => {
    const world = new World();
    world.has('a', 'alice/web:main', 100);
    world.has('a', 'alice/web:v1', 100);
    world.wanted.add('docker.io/alice/web:v1');
    await world.disk(0).tidy();
    expect(world.removed).toEqual([]);
    world.wanted.clear();
    await world.disk(0).tidy();
    expect(world.removed).toEqual(['docker.io/alice/web:main', 'docker.io/alice/web:v1']);
    expect(world.images.size).toBe(0);
  });

  it('forgets what somebody removed by hand, and what now lives under another name', async () => {
    const world = new World();
    world.has('gone', 'alice/gone:main', 1);
    world.images.delete('gone');
    world.has('moved', 'alice/moved:main', 1);
    world.images.get('moved')!.names = ['docker.io/byhand/moved:1'];
    await world.disk(100).tidy();
    expect(world.pulled).toEqual([]);
  });

  it('remembers a pull, and looks at once', async () => {
    const world = new World();
    world.has('a', 'alice/web:main', 60, { idleHours: 5 });
    const disk = world.disk(100);
    world.has('b', 'alice/api:main', 60, { isOurs: false });
    world.wanted.add('docker.io/alice/api:main');
    await disk.pulled(ref('alice/api:main'), imageOf('b'), 1234.5);
    await disk.tidy();
    expect(world.removed).toEqual(['docker.io/alice/web:main']);
    expect(world.pulled).toEqual([{ name: 'docker.io/alice/api:main', id: 'b', pullMs: 1235, lastUsedAtMs: NOW_MS }]);
  });

  it('makes who wants an image wait while it is being removed', async () => {
    const world = new World();
    world.has('a', 'alice/web:main', 100);
    let release = (): void => undefined;
    world.hold = new Promise((resolve) => (release = resolve));
    const disk = world.disk(0);
    const tidied = disk.tidy();
    await new Promise((resolve) => setImmediate(resolve));
    let mayLook = false;
    const used = disk.beforeUse(ref('alice/web:main')).then(() => (mayLook = true));
    await disk.beforeUse(ref('alice/other:main'));
    await new Promise((resolve) => setImmediate(resolve));
    expect([mayLook, world.images.size]).toEqual([false, 1]);
    release();
    await Promise.all([tidied, used]);
    expect([mayLook, world.images.size]).toEqual([true, 0]);
  });

  it('makes who wants an image by another of its names wait as well', async () => {
    const world = new World();
    world.has('a', 'alice/web:main', 100);
    world.has('a', 'alice/web:v1', 100);
    let release = (): void => undefined;
    world.hold = new Promise((resolve) => (release = resolve));
    const disk = world.disk(0);
    const tidied = disk.tidy();
    await new Promise((resolve) => setImmediate(resolve));
    const used = disk.beforeUse(ref('alice/web:v1')).then(() => world.images.size);
    release();
    expect(await used).toBe(0);
    await tidied;
  });

  it('counts from the last use, and keeps that over a restart', async () => {
    const world = new World();
    world.has('a', 'alice/a:main', 100, { idleHours: 50 });
    world.has('b', 'alice/b:main', 100, { idleHours: 40 });
    const disk = world.disk(200);
    await disk.beforeUse(ref('alice/a:main'));
    await disk.tidy();
    expect(world.pulled.map(({ lastUsedAtMs }) => NOW_MS - lastUsedAtMs)).toEqual([0, 40 * HOUR_MS]);
    await world.disk(100).tidy();
    expect(world.removed).toEqual(['docker.io/alice/b:main']);
  });

  it('goes on with the next where the engine keeps one, and survives an engine that is away', async () => {
    const world = new World();
    world.has('a', 'alice/a:main', 100, { pullMs: 1 });
    world.has('b', 'alice/b:main', 100, { pullMs: 100 });
    const disk = world.disk(0);
    const [list, idsOfContainers] = [world.list.bind(world), world.idsOfContainers.bind(world)];
    // A container appears between the look and the removal.
    world.idsOfContainers = () => idsOfContainers().then(() => new Set());
    world.containers.add('a');
    await disk.tidy();
    expect(world.removed).toEqual(['docker.io/alice/b:main']);
    world.list = () => Promise.reject(new Error('away'));
    await disk.tidy();
    expect(world.complaints.join('')).toContain('the next look tries again');
    expect(world.pulled).toHaveLength(1);
    world.list = list;
    world.containers.clear();
    await disk.tidy();
    expect(world.pulled).toEqual([]);
  });

  it('removes nothing without a budget, but remembers', async () => {
    const world = new World();
    const disk = world.disk(Infinity);
    await disk.pulled(ref('alice/web:main'), imageOf('a'), 5);
    await disk.tidy();
    expect(world.pulled.map(({ id }) => id)).toEqual(['a']);
    expect(world.removed).toEqual([]);
  });
});
