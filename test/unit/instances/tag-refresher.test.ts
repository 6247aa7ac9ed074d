import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { PipesError, type ErrorCode } from '../../../src/core/errors.ts';
import { printImageRef, type ImageRef } from '../../../src/images/image-ref.ts';
import type { LocalImage } from '../../../src/images/image-store.ts';
import type { Run } from '../../../src/instances/run.ts';
import { TagRefresher, type TagImages } from '../../../src/instances/tag-refresher.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { makeTable, type TableBench } from '../../fakes/table-bench.ts';
import { until } from '../../lab/until.ts';

const WEB = parseReference('alice/web:main');
const KEY = 'alice/web:main';
const NAME = 'docker.io/alice/web:main';
const NEVER = new AbortController().signal;

/** A registry whose tags move, over the bench's images. */
class MovingTags implements TagImages {
  readonly remote = new Map<string, string>();
  readonly asked: string[] = [];
  readonly pulled: string[] = [];
  failure: ErrorCode | undefined;
  pullFailure: ErrorCode | undefined;
  /** What a comparison waits for. */
  hold: Promise<void> | undefined;

  /** Digest `d1` is image `i1`, and so on. */
  push(version: number): void {
    this.remote.set(NAME, `d${version}`);
  }
  local(ref: ImageRef): Promise<LocalImage | undefined> {
    return Promise.resolve(this.#image(bench.images.ids.get(printImageRef(ref)) ?? 'i1'));
  }
  async latestDigest(ref: ImageRef): Promise<string> {
    this.asked.push(printImageRef(ref));
    await this.hold;
    if (this.failure) throw new PipesError(this.failure, 'No answer.');
    const digest = this.remote.get(printImageRef(ref));
    if (digest === undefined) throw new PipesError('image_not_found', 'No such tag.');
    return digest;
  }
  refresh(ref: ImageRef): Promise<LocalImage> {
    if (this.pullFailure) return Promise.reject(new PipesError(this.pullFailure, 'No pull.'));
    const digest = this.remote.get(printImageRef(ref))!;
    this.pulled.push(digest);
    bench.images.ids.set(printImageRef(ref), `i${digest.slice(1)}`);
    bench.images.digests.set(printImageRef(ref), digest);
    return Promise.resolve(this.#image(`i${digest.slice(1)}`));
  }
  #image(id: string): LocalImage {
    return { id, digest: `d${id.slice(1)}`, exposedPorts: [80], sizeBytes: 1 };
  }
}

let bench: TableBench;
let tags: MovingTags;
let refresher: TagRefresher;
let said: string[];
const all = (): boolean => true;

async function opened(everyMs = Infinity, config: Parameters<TableBench['configs']['setContainer']>[1] = {}): Promise<void> {
  bench = makeTable({ onWoken: (key, timing) => refresher.noteWoken(key, timing.from) });
  tags = new MovingTags();
  said = [];
  refresher = new TagRefresher({ instances: bench.table, images: tags, log: pino({ level: 'info' }, { write: (line: string) => said.push(line) }), everyMs });
  await bench.configs.setContainer(KEY, config);
  bench.images.ids.set(NAME, 'i1');
  bench.images.digests.set(NAME, 'd1');
  tags.push(1);
  await bench.table.open();
  refresher.start();
}
afterEach(async () => {
  await refresher.stop();
  await bench.close();
  expect(bench.complaints.filter((line) => line.includes('no life makes'))).toEqual([]);
});

const lease = (): Promise<Run> => bench.table.lease(WEB, undefined, NEVER);
async function use(): Promise<string> {
  const run = await lease();
  run.release();
  return run.imageId;
}
const serves = (imageId: string) => until(`${imageId} serves`, async () => (await use()) === imageId, 5_000, 5);
const notePush = () => refresher.notePush({ repository: 'alice/web', tag: 'main', digest: tags.remote.get(NAME) }, all);
const report = () => bench.table.report(WEB);

describe('a tag that moved', () => {
  it('is brought by a sweep: new beside old, and what is open may finish', async () => {
    await opened(20);
    const open = await lease();
    expect(open.imageId).toBe('i1');
    tags.push(2);
    await serves('i2');
    expect(open.ended).toBe(true);
    expect(bench.backend.ids(KEY)).toHaveLength(2);
    open.release();
    await until('the old one is gone', () => bench.backend.ids(KEY).length === 1);
    expect(report()).toMatchObject({ state: 'running', digest: 'd2', error: null });
    expect(tags.pulled).toEqual(['d2']);
  });

  it('is brought by a push at once, and only then where there are no sweeps', async () => {
    await opened();
    await use();
    tags.push(2);
    expect(notePush()).toEqual({ refreshing: [KEY], atNextWake: [] });
    await serves('i2');
  });

  it('costs one question where it did not move', async () => {
    await opened();
    await use();
    const [id] = bench.backend.ids(KEY);
    notePush();
    await until('it was asked for', () => tags.asked.length === 1);
    await refresher.stop();
    expect([tags.pulled, bench.backend.ids(KEY)]).toEqual([[], [id]]);
  });

  it('is of no interest to those who use another tag, a digest, or never pull, or may not be touched', async () => {
    await opened(Infinity, { pull: 'never' });
    await use();
    tags.push(2);
    const none = { refreshing: [], atNextWake: [] };
    expect(notePush()).toEqual(none);
    await bench.configs.setContainer(KEY, { image: `alice/web@sha256:${'a'.repeat(64)}` });
    expect(notePush()).toEqual(none);
    await bench.configs.setContainer(KEY, {});
    expect(refresher.notePush({ repository: 'alice/web', tag: 'other' }, all)).toEqual(none);
    expect(refresher.notePush({ repository: 'alice/other', tag: 'main' }, all)).toEqual(none);
    expect(refresher.notePush({ repository: 'alice/web', tag: 'main' }, () => false)).toEqual(none);
    expect(tags.asked).toEqual([]);
  });

  it('is compared once more when pushes come while it is being compared, however many', async () => {
    await opened();
    await use();
    let release = (): void => undefined;
    tags.hold = new Promise((resolve) => (release = resolve));
    for (let at = 0; at < 49; at += 1) notePush();
    tags.push(2);
    notePush();
    release();
    await serves('i2');
    await until('the second comparison is over', () => tags.asked.length === 2);
    await refresher.stop();
    expect([tags.asked.length, tags.pulled]).toEqual([2, ['d2']]);
  });

  it('is found also where the registry tells of it before it shows it', async () => {
    await opened();
    await use();
    refresher.notePush({ repository: 'alice/web', tag: 'main', digest: 'd2' }, all);
    await until('the registry was asked', () => tags.asked.length === 1);
    tags.push(2);
    await serves('i2');
    expect(tags.asked.length).toBe(2);
  });

  it('leaves what is the same image alone, and does not pull it again and again', async () => {
    await opened();
    await use();
    const [id] = bench.backend.ids(KEY);
    tags.remote.set(NAME, 'x1');
    notePush();
    await until('it was pulled', () => tags.pulled.length === 1);
    await until('it was looked at', () => bench.backend.calls.at(-1) === 'inspect');
    notePush();
    await until('it was asked for again', () => tags.asked.length === 2);
    await refresher.stop();
    expect([tags.pulled, bench.backend.ids(KEY)]).toEqual([['x1'], [id]]);
  });
});

describe('an instance that sleeps', () => {
  /** Used once, and paused; it stays up after its next wake. */
  async function paused(): Promise<string> {
    await opened(Infinity, { idle: { pause: '20ms' } });
    const run = await lease();
    run.release();
    await until('it is paused', () => report().state === 'paused');
    await bench.configs.setContainer(KEY, {});
    return run.containerId;
  }

  it('paused: is not woken, gets its image pulled, wakes at once with the old, and is replaced beside that', async () => {
    const old = await paused();
    tags.push(2);
    expect(notePush().refreshing).toEqual([KEY]);
    await until('it was pulled', () => tags.pulled.length === 1);
    await until('it is left asleep', () => report().state === 'paused');
    const woken = await lease();
    expect(woken.containerId).toBe(old);
    woken.release();
    await serves('i2');
  });

  it('paused, and its image was pulled by hand: is replaced after its wake as well', async () => {
    await paused();
    bench.images.ids.set(NAME, 'i7');
    bench.images.digests.set(NAME, 'd7');
    expect(await use()).toBe('i1');
    await serves('i7');
    expect(tags.asked).toEqual([]);
  });

  it('stopped: nothing is pulled until it wakes; then it is compared', async () => {
    await opened();
    await use();
    await bench.table.stop(WEB);
    tags.push(2);
    expect(notePush()).toEqual({ refreshing: [], atNextWake: [KEY] });
    expect(tags.asked).toEqual([]);
    expect(await use()).toBe('i1');
    await serves('i2');
  });
});

describe('a new image that fails', () => {
  const BROKEN = { env: { FAILS_IMAGE: 'i2' } };

  it('leaves the old one serving, says why, and is not tried again until the tag moves on', async () => {
    await opened(20, BROKEN);
    await use();
    tags.push(2);
    await until('it has failed', () => report().error);
    const sweeps = tags.asked.length;
    await until('more sweeps went by', () => tags.asked.length > sweeps + 3);
    expect(report()).toMatchObject({ state: 'running', digest: 'd1', error: { code: 'instance_failed' } });
    expect(bench.backend.calls.filter((call) => call === 'create')).toHaveLength(2);
    expect(bench.backend.ids(KEY)).toHaveLength(1);
    tags.push(3);
    await serves('i3');
    expect(report().error).toBeNull();
  });

  it('is not what the next wake brings, and the state says why all the while', async () => {
    await opened(Infinity, BROKEN);
    await use();
    tags.push(2);
    notePush();
    await until('it has failed', () => report().error);
    await bench.table.stop(WEB);
    expect(await use()).toBe('i1');
    expect(report().error).toMatchObject({ code: 'instance_failed' });
  });

  it('is tried again when an operator restarts', async () => {
    await opened(Infinity, BROKEN);
    await use();
    tags.push(2);
    notePush();
    await until('it has failed', () => report().error);
    await expect(bench.table.restart(WEB)).rejects.toMatchObject({ code: 'instance_failed' });
    await bench.configs.setContainer(KEY, {});
    await bench.table.restart(WEB);
    expect(await use()).toBe('i2');
    expect(report().error).toBeNull();
  });

  it('is forgotten when the tag goes back to what runs', async () => {
    await opened(Infinity, BROKEN);
    await use();
    tags.push(2);
    notePush();
    await until('it has failed', () => report().error);
    tags.push(1);
    notePush();
    await until('all is well', () => report().error === null);
    await bench.table.stop(WEB);
    expect(await use()).toBe('i1');
  });

  it('counts as failed where it cannot even be pulled', async () => {
    await opened(20);
    await use();
    tags.pullFailure = 'image_unusable';
    tags.push(2);
    await until('the state says so', () => report().error?.code === 'image_unusable');
    expect(await use()).toBe('i1');
  });

  it('with a writable volume is stopped first, and the old one comes back', async () => {
    await opened(Infinity, { ...BROKEN, volumes: ['data:/data'] });
    await use();
    tags.push(2);
    notePush();
    await until('it has failed', () => report().error);
    expect(await use()).toBe('i1');
    expect(bench.backend.mostAtOnce).toBe(1);
    tags.push(3);
    notePush();
    await serves('i3');
    expect(bench.backend.mostAtOnce).toBe(1);
  });
});

describe('an instance that failed', () => {
  it('is tried again with the next request once its tag has moved', async () => {
    await opened(Infinity, { env: { FAILS_IMAGE: 'i1' } });
    await expect(use()).rejects.toMatchObject({ code: 'instance_failed' });
    await expect(use()).rejects.toMatchObject({ code: 'instance_failed' });
    expect(report().state).toBe('failed');
    tags.push(2);
    notePush();
    await until('its failures are forgotten', () => report().error === null);
    expect(await use()).toBe('i2');
  });
});

describe('a registry that is away', () => {
  it('stops nobody else, and is asked again after a while', async () => {
    await opened();
    await use();
    const other = parseReference('bob/api:main');
    (await bench.table.lease(other, undefined, NEVER)).release();
    tags.push(2);
    tags.failure = 'registry_unavailable';
    notePush();
    await until('it has failed', () => said.some((line) => line.includes('retryAfterMs')));
    tags.failure = undefined;
    expect(await use()).toBe('i1');
    // The first try again comes after two seconds.
    await serves('i2');
    expect(tags.asked.length).toBe(2);
  });

  it('is asked again by a push before that', async () => {
    await opened();
    await use();
    tags.push(2);
    tags.failure = 'registry_denied';
    notePush();
    await until('it has failed', () => said.some((line) => line.includes('retryAfterMs')));
    tags.failure = undefined;
    notePush();
    await until('it serves before the back-off is over', async () => (await use()) === 'i2', 1_500, 5);
  });

  it('is not asked again for a tag that it does not have', async () => {
    await opened();
    await use();
    tags.remote.clear();
    notePush();
    await until('it was asked', () => tags.asked.length === 1);
    await refresher.stop();
    expect(said).toEqual([]);
  });
});
