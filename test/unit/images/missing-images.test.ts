import { describe, expect, it } from 'vitest';
import { MissingImages } from '../../../src/images/missing-images.ts';

describe('MissingImages', () => {
  it('holds no more than its capacity, the newest', () => {
    const missing = new MissingImages(1000, 3, () => 0);
    for (const image of ['a', 'b', 'a', 'c', 'd']) missing.add(image);
    expect(missing.size).toBe(3);
    expect(missing.find('b')).toBeUndefined();
    expect(['a', 'c', 'd'].map((image) => missing.find(image)?.code)).toEqual(['image_not_found', 'image_not_found', 'image_not_found']);
  });

  it('drops what has expired when it is asked for', () => {
    let now = 0;
    const missing = new MissingImages(1000, 3, () => now);
    expect(missing.add('a').retryAfterS).toBe(1);
    now = 1000;
    expect(missing.find('a')).toBeUndefined();
    expect(missing.size).toBe(0);
  });
});
