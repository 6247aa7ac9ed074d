import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import type { Observed } from '../../../src/instances/backend.ts';
import { lookAtRun, NO_WORD } from '../../../src/instances/run-check.ts';
import { Run } from '../../../src/instances/run.ts';

const NEVER = new Promise<undefined>(() => undefined);
const AWAY = new PipesError('engine_unavailable', 'The engine is away.');

let app: Server;
let run: Run;

beforeEach(async () => {
  app = createServer((socket) => socket.on('error', () => undefined).end());
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  run = new Run({ id: 'c1', upstream: { host: '127.0.0.1', port: (app.address() as AddressInfo).port } } as Observed & { upstream: { host: string; port: number } }, () => 0);
});
afterEach(async () => {
  vi.useRealTimers();
  if (app.listening) await new Promise((resolve) => app.close(resolve));
});

const look = (observe: () => Promise<Observed | undefined>, isTold: boolean) => lookAtRun(run, { observe, isTold, acceptsBeforeReady: false });

describe('an engine that does not answer', () => {
  it('is believed after a second in what it told, if it has told everything', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const looked = look(() => NEVER, true);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await looked).toBe(NO_WORD);
  });

  it('is waited for after it was gone, and what may have moved is not used for all that', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let outcome: unknown;
    const looked = look(() => NEVER, false).catch((thrown: unknown) => (outcome = thrown));
    await vi.advanceTimersByTimeAsync(19_000);
    expect(outcome).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1_000);
    await looked;
    expect(outcome).toMatchObject({ code: 'engine_unavailable' });
  });
});

describe('an engine that is not there', () => {
  it.each([true, false])('leaves every address as it was (told before: %s)', async (isTold) => {
    expect(await look(() => Promise.reject(AWAY), isTold)).toBe(NO_WORD);
  });

  it('does not hide that the container is dead', async () => {
    await new Promise((resolve) => app.close(resolve));
    await expect(look(() => Promise.reject(AWAY), false)).rejects.toBe(AWAY);
  });
});

it('gives the answer as it is, and other failures too', async () => {
  expect(await look(() => Promise.resolve(undefined), false)).toBeUndefined();
  const failure = new PipesError('internal', 'Something else.');
  await expect(look(() => Promise.reject(failure), true)).rejects.toBe(failure);
});
