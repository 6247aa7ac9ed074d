import { PipesError } from './errors.ts';

/**
 * For `JSON.parse`: refuses the one key that objects cannot hold as they hold others, so that schemas would pass over it in silence.
 * @throws PipesError `invalid_request`
 */
export function withoutPrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new PipesError('invalid_request', 'it holds the key "__proto__"');
  return value;
}
