import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { PipesError } from '../core/errors.ts';
import { withoutPrototype } from '../core/json-keys.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { ApiContext } from './api-context.ts';
import { faultsOf, type Fault } from './contract/faults.ts';

/** Most that a body may hold (INTERFACE 4). */
export const BODY_LIMIT_BYTES = 1024 * 1024;

/**
 * The body as what the schema describes. Its content type does not matter; that it is JSON does.
 * @throws PipesError `invalid_request` with every fault, `body_too_large`, `request_timeout`
 */
export async function readBody<Schema extends z.ZodType>(ctx: ApiContext, schema: Schema, timeoutMs: number): Promise<z.output<Schema>> {
  const checked = schema.safeParse(parseJson(await readBytes(ctx, timeoutMs)));
  if (checked.success) return checked.data;
  throw invalid(faultsOf(checked.error));
}

/** An `invalid_request` that names every fault. */
export function invalid(faults: readonly Fault[]): PipesError {
  const named = faults.slice(0, FAULTS_IN_DETAIL).map(({ path, message }) => `${path === '' ? 'it' : path} ${message}`).join('; ');
  const more = faults.length > FAULTS_IN_DETAIL ? `; and ${faults.length - FAULTS_IN_DETAIL} more in "faults"` : '';
  return new PipesError('invalid_request', `The body is not valid: ${named}${more}.`, { members: { faults } });
}

/** The sentence for people stays readable; the member `faults` has them all. */
const FAULTS_IN_DETAIL = 5;

/** @throws PipesError `invalid_request` */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw invalid([{ path: '', message: 'is empty where a JSON object is needed' }]);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), withoutPrototype);
  } catch (error) {
    if (error instanceof PipesError) throw invalid([{ path: '', message: 'holds the key "__proto__", which is not a key that pipes knows' }]);
    const why = error instanceof SyntaxError ? error.message : error instanceof RangeError ? 'it is nested too deep' : 'it is not UTF-8';
    throw invalid([{ path: '', message: `is not JSON: ${why}` }]);
  }
}

/**
 * The body as it came, for what its very bytes are needed for.
 * @throws PipesError `invalid_request`, `body_too_large`, `request_timeout`
 */
export async function readBytes(ctx: ApiContext, timeoutMs: number): Promise<Buffer> {
  const encoding = ctx.req.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw invalid([{ path: '', message: `must not be compressed (Content-Encoding: ${encoding})` }]);
  return await collect(ctx, timeoutMs);
}

function collect(ctx: ApiContext, timeoutMs: number): Promise<Buffer> {
  const request = ctx.req;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      request.off('data', take).off('end', end).off('error', broken).off('close', broken);
      // Node emits an error for a client that leaves in mid-body; after this nobody else listens.
      request.on('error', () => undefined);
      settle();
    };
    const take = (chunk: Buffer): void => {
      sizeBytes += chunk.length;
      chunks.push(chunk);
      if (sizeBytes > BODY_LIMIT_BYTES) refuse();
    };
    const refuse = (): void => {
      discardRest(request);
      finish(() => reject(new PipesError('body_too_large', 'The body is larger than 1 MB (1048576 bytes), the most that is taken.')));
    };
    const end = (): void => finish(() => resolve(Buffer.concat(chunks)));
    const broken = (): void => finish(() => reject(new PipesError('invalid_request', 'The connection broke off before the body was whole.')));
    const late = (): void => finish(() => reject(new PipesError('request_timeout', `The body was not whole after ${timeoutMs / 1000} s.`)));
    const timer = setTimeout(late, Math.min(timeoutMs, LONGEST_TIMER_MS));
    if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT_BYTES) return refuse();
    letItSend(ctx);
    request.on('data', take).on('end', end).on('error', broken).on('close', broken);
  });
}

/** Node's server leaves `Expect: 100-continue` to us, as the proxy wants the app to answer it where a request is forwarded. */
function letItSend(ctx: ApiContext): void {
  if (ctx.get('expect').toLowerCase() !== '100-continue') return;
  ctx.res.writeContinue();
  ctx.state.hasContinued = true;
}

/**
 * Reads on for a while without keeping anything: a client that is still sending when the connection is cut never sees the
 * answer. One that does not stop is cut all the same.
 */
function discardRest(request: IncomingMessage): void {
  let leftBytes = DISCARD_BYTES;
  const timer = setTimeout(() => request.destroy(), DISCARD_MS);
  timer.unref();
  request.on('data', (chunk: Buffer) => {
    leftBytes -= chunk.length;
    if (leftBytes < 0) request.destroy();
  });
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
}

const DISCARD_BYTES = 16 * BODY_LIMIT_BYTES;
const DISCARD_MS = 5000;
