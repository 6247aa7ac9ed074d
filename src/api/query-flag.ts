import { PipesError } from '../core/errors.ts';
import type { ApiContext } from './api-context.ts';

/**
 * A flag of the query, such as `?wait=false`; `?restart` alone is true.
 * @throws PipesError `invalid_request` for other values
 */
export function queryFlag(ctx: ApiContext, name: string, otherwise: boolean): boolean {
  const values = new URLSearchParams(ctx.querystring).getAll(name);
  const value = values.at(-1);
  if (value === undefined) return otherwise;
  if (value === 'true' || value === '') return true;
  if (value === 'false') return false;
  const fault = { path: `?${name}`, message: 'must be true or false' };
  throw new PipesError('invalid_request', `The query parameter "${name}" must be true or false.`, { members: { faults: [fault] } });
}
