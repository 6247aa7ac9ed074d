import { PipesError } from '../core/errors.ts';
import type { ApiContext } from './api-context.ts';

/**
 * A number of things in the query, such as `?tail=100`; undefined where it is not given, or `all`.
 * @throws PipesError `invalid_request` for what is no whole number
 */
export function queryCount(ctx: ApiContext, name: string): number | undefined {
  const value = new URLSearchParams(ctx.querystring).getAll(name).at(-1);
  if (value === undefined || value === 'all') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const fault = { path: `?${name}`, message: 'must be a whole number, or all' };
  throw new PipesError('invalid_request', `The query parameter "${name}" must be a whole number, or all.`, { members: { faults: [fault] } });
}
