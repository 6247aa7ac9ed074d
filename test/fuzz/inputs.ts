import fc from 'fast-check';

/** Any bytes, some of them text. */
export const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)), fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text)));

/** Texts that names, numbers and paths are rarely made of. */
export const oddText = fc.oneof(
  fc.constantFrom('', ' ', '.', '..', '/', '//', '\0', '\n', '\r\nX: y', '%', '%2f', '%00', '-', '_', '*', '?', '__proto__', 'constructor', 'toString', 'null', 'undefined', 'NaN', 'é', '💥', '\ud800', '\u202e', 'localhost', '127.0.0.1', '::1', '0', '-1', '1e999', 'off', 'latest'),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ maxLength: 300 }),
  fc.tuple(fc.string({ minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 3000 })).map(([text, count]) => text.repeat(count)),
);

const oddKey = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', 'length', '', 'env', 'Id', 'State', 'labels'), fc.string({ maxLength: 10 }));

/** Any JSON value, with the keys that objects have of themselves. */
export const anyJson: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(fc.constantFrom(null, true, false, 0, -1, 1e308, 1.5, '', 'x'), oddText, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer()),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(oddKey, tie('value'), { maxKeys: 4 }),
  ),
})).value;

/**
 * The document with something wrong in it: one value anywhere replaced by another, left out, or doubled under another key.
 * Undefined values are left out by JSON.stringify.
 */
export function bent(document: unknown): fc.Arbitrary<unknown> {
  const paths = pathsIn(document);
  const change = fc.oneof(fc.constant(undefined), fc.constantFrom<unknown>(null, '', 0, -1, 1e300, [], {}, true, 'x'), anyJson);
  return fc.array(fc.tuple(fc.constantFrom(...paths), change), { minLength: 1, maxLength: 3 }).map((changes) => {
    let result = structuredClone(document);
    for (const [path, value] of changes) result = withValue(result, path, value);
    return result;
  });
}

/** The bytes with something done to them: cut off anywhere, some replaced, some twice. */
export function broken(bytes: Buffer): fc.Arbitrary<Buffer> {
  const at = fc.nat({ max: bytes.length });
  return fc.oneof(
    at.map((end) => bytes.subarray(0, end)),
    fc.tuple(at, fc.uint8Array({ minLength: 1, maxLength: 6 })).map(([start, noise]) => Buffer.concat([bytes.subarray(0, start), noise, bytes.subarray(start + noise.length)])),
    fc.tuple(at, at).map(([a, b]) => Buffer.concat([bytes.subarray(0, Math.max(a, b)), bytes.subarray(Math.min(a, b))])),
  );
}

/** The bytes in pieces, cut anywhere. */
export function pieces(bytes: Buffer): fc.Arbitrary<Buffer[]> {
  return fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 }).map((cuts) => {
    const ends = [...new Set([...cuts, bytes.length])].sort((a, b) => a - b);
    return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
  });
}

type Path = readonly (string | number)[];

function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsIn(inner, [...path, key]))];
}

function withValue(document: unknown, path: Path, value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (typeof document !== 'object' || document === null) return document;
  const copy = (Array.isArray(document) ? [...(document as unknown[])] : { ...document }) as Record<string | number, unknown>;
  copy[key] = withValue(copy[key], rest, value);
  return copy;
}

/** As JSON; an undefined document is no text at all. */
export function textOf(document: unknown): string {
  return document === undefined ? '' : JSON.stringify(document);
}
