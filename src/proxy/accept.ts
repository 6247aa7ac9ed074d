/** What an error can be drawn as. */
export type ErrorForm = 'json' | 'html' | 'text';

/**
 * Which form an `Accept` asks for (RFC 9110 section 12.5.1): a problem document unless HTML is preferred, plain text where
 * neither is taken. At equal weight HTML wins only when it is named and JSON is covered by a wildcard alone.
 */
export function errorForm(accept: string | undefined): ErrorForm {
  if (accept === undefined || accept.trim() === '') return 'json';
  const ranges = accept.split(',').map(readRange).filter((range) => range !== undefined);
  const problem = best(ranges, 'application', ['problem+json', 'json']);
  const html = best(ranges, 'text', ['html']);
  if (html.weight > problem.weight || (html.weight > 0 && html.weight === problem.weight && html.isNamed && !problem.isNamed)) return 'html';
  return problem.weight > 0 ? 'json' : 'text';
}

interface Range {
  readonly type: string;
  readonly subtype: string;
  readonly weight: number;
}

interface Match {
  readonly weight: number;
  /** Matched by its own name, not by `type/*` or a full wildcard. */
  readonly isNamed: boolean;
}

/** Undefined for what is no media range; a weight that is none counts as 1, as if it had not been written. */
function readRange(text: string): Range | undefined {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const [type, subtype, ...rest] = range.split('/');
  if (!type || !subtype || rest.length > 0 || (type === '*' && subtype !== '*')) return undefined;
  const written = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '');
  const weight = written !== undefined && /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(written) ? Number(written) : 1;
  return { type, subtype, weight };
}

/** The most specific range decides; of several subtypes that serve equally, the one that is wanted most. */
function best(ranges: readonly Range[], type: string, subtypes: readonly string[]): Match {
  const named = ranges.filter((range) => range.type === type && subtypes.includes(range.subtype));
  if (named.length > 0) return { weight: Math.max(...named.map((range) => range.weight)), isNamed: true };
  const wild = ranges.find((range) => range.type === type && range.subtype === '*') ?? ranges.find((range) => range.type === '*');
  return { weight: wild?.weight ?? 0, isNamed: false };
}
