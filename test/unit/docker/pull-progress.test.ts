import { expect, it } from 'vitest';
import { PullProgress } from '../../../src/docker/pull-progress.ts';

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
