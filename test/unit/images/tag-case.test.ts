import { expect, it } from 'vitest';
import { caseVariants } from '../../../src/images/tag-case.ts';

it('finds the tags that differ by case alone, each once, sorted', () => {
  expect(caseVariants('main', ['main', 'Main', 'mAin', 'Main', 'main2', 'mai'])).toEqual(['Main', 'mAin']);
  expect(caseVariants('V1.0_a', ['v1.0_a', 'v1-0_a'])).toEqual(['v1.0_a']);
  expect(caseVariants('main', [])).toEqual([]);
});
