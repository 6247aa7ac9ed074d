import { describe, expect, it } from 'vitest';
import { PullEvent, PullProgress } from '../../../src/docker/pull-progress.ts';

it('adds a pull up, layer by layer', () => {
  const progress = new PullProgress();
  expect(progress.add({ status: 'Pulling from alice/web', id: 'main' })).toBe(false);
  expect(progress.add({ status: 'Pulling fs layer', progressDetail: {}, id: 'a' })).toBe(true);
  progress.add({ status: 'Already exists', progressDetail: {}, id: 'b' });
  progress.add({ status: 'Downloading', progressDetail: { current: 10, total: 100 }, id: 'a' });
  expect(progress.layers).toEqual([
    { id: 'a', phase: 'downloading', doneBytes: 10, totalBytes: 100 },
    { id: 'b', phase: 'done', doneBytes: 0, totalBytes: undefined },
  ]);
  progress.add({ status: 'Download complete', id: 'a' });
  // What the engine counts while it unpacks is another size, and must not run backwards.
  progress.add({ status: 'Extracting', progressDetail: { current: 3, total: 100 }, id: 'a' });
  expect(progress.layers[0]).toEqual({ id: 'a', phase: 'extracting', doneBytes: 100, totalBytes: 100 });
  progress.add({ status: 'Pull complete', id: 'a' });
  expect(progress.layers[0]?.phase).toBe('done');
  expect(progress.add({ status: 'Digest: sha256:abc' })).toBe(false);
});

it('does not know a total that the registry does not tell', () => {
  const progress = new PullProgress();
  progress.add({ status: 'Downloading', progressDetail: { current: 10, total: -1 }, id: 'a' });
  expect(progress.layers).toEqual([{ id: 'a', phase: 'downloading', doneBytes: 10, totalBytes: undefined }]);
});

describe('events that no engine sends', () => {
  it('change nothing, and are never more than an image can have', () => {
    const progress = new PullProgress();
    for (const odd of [{ id: 7, status: 'Downloading' }, { id: 'a', status: 'constructor' }, { id: 'a', status: {} }, { id: 'a'.repeat(200), status: 'Waiting' }, { status: 'Waiting', progressDetail: null }]) expect(progress.add(PullEvent.parse(odd))).toBe(false);
    for (let at = 0; at < 2_000; at += 1) progress.add(PullEvent.parse({ id: `layer${at}`, status: 'Waiting' }));
    expect(progress.layers).toHaveLength(500);
    progress.add(PullEvent.parse({ id: 'layer0', status: 'Downloading', progressDetail: { current: 'x', total: -1 } }));
    expect(progress.layers[0]).toEqual({ id: 'layer0', phase: 'downloading', doneBytes: 0, totalBytes: undefined });
  });

  it('that tell an error of any kind are errors', () => {
    expect(PullEvent.parse({ error: 7 }).error).toBeTypeOf('string');
    expect(PullEvent.parse({ errorDetail: { message: {} } }).errorDetail?.message).toBeTypeOf('string');
    expect(PullEvent.parse({ error: 'no space' }).error).toBe('no space');
  });
});
