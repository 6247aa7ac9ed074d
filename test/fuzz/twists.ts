import fc from 'fast-check';
import { anyBytes, anyJson, bent, broken, textOf } from './inputs.ts';
import type { Twist } from './odd-engine.ts';

/** How an engine's answers are twisted: drawn once, and done to whatever the sane answer is. */
export const twist: fc.Arbitrary<Twist> = fc
  .record({
    kind: fc.constantFrom('bent', 'bent', 'bent', 'any', 'text', 'cut', 'noise', 'status', 'redirect', 'head', 'twice'),
    seed: fc.integer({ min: 0, max: 2 ** 30 }),
    status: fc.oneof(fc.constantFrom(200, 201, 204, 206, 301, 304, 307, 400, 401, 404, 409, 418, 500, 502, 503), fc.integer({ min: 200, max: 599 })),
    isReset: fc.boolean(),
  })
  .map(({ kind, seed, status, isReset }) => made(kind, seed, status, isReset));

const locations = ['http://127.0.0.1:1/', 'ftp://x/', '/elsewhere', 'nonsense:', ''];

function made(kind: string, seed: number, status: number, isReset: boolean): Twist {
  const draw = <T>(from: fc.Arbitrary<T>): T => fc.sample(from, { seed, numRuns: 1 })[0]!;
  switch (kind) {
    case 'bent':
      return { body: (sane) => (Buffer.isBuffer(sane) ? draw(broken(sane)) : Buffer.from(textOf(draw(bent(sane))))) };
    case 'any':
      return { body: () => Buffer.from(JSON.stringify(draw(anyJson))) };
    case 'text':
      return { body: () => draw(anyBytes) };
    case 'cut':
      return { bytes: (whole) => [whole.subarray(0, seed % whole.length)], isReset };
    case 'noise':
      return { bytes: (whole) => [draw(broken(whole))], isReset };
    case 'status':
      return { status, body: (sane) => (seed % 2 === 0 ? Buffer.from(textOf(sane)) : Buffer.from(JSON.stringify({ message: draw(anyJson) }))) };
    case 'redirect':
      return { status: 302, headers: [`Location: ${locations[seed % locations.length]!}`] };
    case 'head':
      return { headers: draw(fc.array(fc.constantFrom('Transfer-Encoding: chunked', 'Content-Length: 5', 'Upgrade: tcp', 'Content-Encoding: gzip', 'X: \u0001', `X: ${'y'.repeat(20_000)}`), { minLength: 1, maxLength: 3 })) };
    default:
      return { bytes: (whole) => [whole, whole] };
  }
}
