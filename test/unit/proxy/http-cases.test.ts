import { describe, expect, it } from 'vitest';
import { ANSWERS } from '../../lab/http-cases/answers.ts';
import { CHUNKS } from '../../lab/http-cases/chunks.ts';
import { EXPECTATIONS } from '../../lab/http-cases/expectations.ts';
import { FORWARDING_FIELDS } from '../../lab/http-cases/forwarding-fields.ts';
import { FRAMING } from '../../lab/http-cases/framing.ts';
import { echoed, get, type HttpCase } from '../../lab/http-cases/http-case.ts';
import { LIMITS } from '../../lab/http-cases/limits.ts';
import { LINES } from '../../lab/http-cases/lines.ts';
import { METHODS } from '../../lab/http-cases/methods.ts';
import { PIPELINES } from '../../lab/http-cases/pipelines.ts';
import { TARGETS } from '../../lab/http-cases/targets.ts';
import { UPGRADES } from '../../lab/http-cases/upgrades.ts';
import { VERSIONS } from '../../lab/http-cases/versions.ts';
import { expected, observe } from '../../lab/http-lane.ts';
import { startNodeLane } from './http-lane.ts';

const THEMES: Readonly<Record<string, readonly HttpCase[]>> = {
  framing: FRAMING,
  chunks: CHUNKS,
  lines: LINES,
  targets: TARGETS,
  'forwarding fields': FORWARDING_FIELDS,
  pipelines: PIPELINES,
  versions: VERSIONS,
  methods: METHODS,
  limits: LIMITS,
  upgrades: UPGRADES,
  expectations: EXPECTATIONS,
  answers: ANSWERS,
};

/**
 * A refusal with a good request before it, which is to be answered as if nothing followed, and one behind it that must go
 * nowhere, since nobody can tell where it begins.
 */
function between(each: HttpCase): HttpCase {
  return { ...each, sends: get('/first') + each.sends + get('/smuggled'), gets: [echoed('GET /first'), ...each.gets], arrives: [{ line: 'GET /first' }, ...each.arrives] };
}

const isRefusal = ({ ends, gets, arrives, then, lane }: HttpCase): boolean => ends === 'closed' && gets.length === 1 && arrives.length === 0 && then === undefined && lane === undefined;

const named = (cases: readonly HttpCase[]): [string, HttpCase][] => cases.map((each) => [each.name, each]);

describe.each(Object.entries(THEMES))('%s', (_theme, cases) => {
  it.concurrent.each(named(cases))('%s', async (_name, each) => {
    expect(await observe(each, startNodeLane)).toEqual(expected(each));
  });

  it.concurrent.each(named(cases.filter(({ isWholeOnly }) => !isWholeOnly)))('%s, in pieces', async (_name, each) => {
    expect(await observe(each, startNodeLane, true)).toEqual(expected(each));
  });

  it.concurrent.each(named(cases.filter(isRefusal).map(between)))('%s, between others', async (_name, each) => {
    expect(await observe(each, startNodeLane)).toEqual(expected(each));
  });
});
