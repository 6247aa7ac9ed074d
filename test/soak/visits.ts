import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Agent, IncomingMessage } from 'node:http';
import { greeting, type App } from '../lab/apps.ts';
import { openRequest, startRequest, type RequestOptions } from '../lab/http-client.ts';
import { openWebSocket } from '../lab/web-socket.ts';

/** pipes said in its own words that it could not. */
export class TypedError extends Error {
  readonly status: number;

  constructor(status: number, code: string) {
    super(`${status} ${code}`);
    this.status = status;
  }
}

/** The answer began and did not end. */
export class BrokeOff extends Error {}

export interface Visitor {
  readonly port: number;
  /** For connections that are kept; the others are used once. */
  readonly agent: Agent;
}

export type Visit = (visitor: Visitor, app: App) => Promise<void>;

/**
 * What visitors do, each a whole exchange that checks what it got. They throw `TypedError` and `BrokeOff`, which something from outside
 * may excuse, and anything else, which nothing does.
 */
export const VISITS: Readonly<Record<string, Visit>> = {
  async page(visitor, app) {
    same((await exchange(visitor, { host: app.host, agent: visitor.agent })).toString(), greeting(app));
  },
  async post(visitor, app) {
    const body = randomBytes(3_000).toString('hex');
    const echo = JSON.parse((await exchange(visitor, { host: app.host, path: '/echo', method: 'POST', body, agent: visitor.agent })).toString()) as { body: string };
    same(echo.body, body);
  },
  async upload(visitor, app) {
    const told = JSON.parse((await exchange(visitor, { host: app.host, path: '/sink', method: 'PUT', body: randomBytes(300_000) })).toString()) as { bytes: number };
    same(told.bytes, 300_000);
  },
  async download(visitor, app) {
    same((await exchange(visitor, { host: app.host, path: '/stream?bytes=500000&chunked=1' })).length, 500_000);
  },
  async events(visitor, app) {
    const text = (await exchange(visitor, { host: app.host, path: '/events?count=8&ms=40' })).toString();
    same(text.split('\n\n').length - 1, 8);
  },
  /** Silent for longer than an instance has to be idle before it sleeps. */
  async patient(visitor, app) {
    same((await exchange(visitor, { host: app.host, path: '/slow?ms=1500' })).toString(), 'slow\n');
  },
  async socket(visitor, app) {
    const socket = await openWebSocket(visitor.port, app.host).catch((error: unknown) => {
      const status = /^Unexpected server response: (\d+)$/.exec((error as Error).message)?.[1];
      throw status === undefined ? error : new TypedError(Number(status), 'upgrade refused');
    });
    try {
      for (const pauseMs of [0, 100, 1_500]) {
        await wait(pauseMs);
        socket.send(`after ${pauseMs}`);
        same((await socket.next()).toString(), `after ${pauseMs}`);
      }
      await socket.close();
    } catch (error) {
      socket.socket.terminate();
      if (error instanceof Error && error.message.startsWith('the WebSocket closed')) throw new BrokeOff(error.message);
      throw error;
    }
  },
  async leavesEarly(visitor, app) {
    const leaving = startRequest(visitor.port, { host: app.host, path: '/slow?ms=400' });
    leaving.on('error', () => undefined).end();
    await wait(60);
    leaving.destroy();
  },
  async leavesInTheMiddle(visitor, app) {
    const { request, response } = await openRequest(visitor.port, { host: app.host, path: '/trickle?ms=20&times=200' });
    if (response.statusCode !== 200) throw await typed(response);
    response.on('error', () => undefined).resume();
    await wait(100);
    request.destroy();
  },
  async refusedUpgrade(visitor, app) {
    const error = await openWebSocket(visitor.port, app.host, '/?refuse=403').then(
      () => new Error('an upgrade that the app refused went through'),
      (thrown: unknown) => thrown as Error,
    );
    const status = /^Unexpected server response: (\d+)$/.exec(error.message)?.[1];
    if (status === undefined) throw error;
    if (status !== '403') throw new TypedError(Number(status), 'upgrade refused');
  },
};

/** A name that stands for no image, and pipes' own pages. */
export async function visitElsewhere(visitor: Visitor, unknownHost: string): Promise<void> {
  const error = await exchange(visitor, { host: unknownHost }).then(() => undefined, (thrown: unknown) => thrown);
  if (!(error instanceof TypedError) || error.status !== 404) throw new Error(`${unknownHost} was to be 404`, { cause: error });
  await exchange(visitor, { host: 'localhost', path: '/health', agent: visitor.agent });
}

/** The body of an answer that is a 2xx. */
export async function exchange(visitor: Visitor, options: RequestOptions): Promise<Buffer> {
  const { response } = await openRequest(visitor.port, options);
  if ((response.statusCode ?? 0) >= 300) throw await typed(response);
  return await wholeBody(response);
}

async function typed(response: IncomingMessage): Promise<Error> {
  const text = (await wholeBody(response)).toString();
  const status = response.statusCode ?? 0;
  if (response.headers['content-type']?.startsWith('application/problem+json') !== true) return new Error(`${status} that is no problem document: ${text}`);
  const { code } = JSON.parse(text) as { code?: string };
  return code === undefined ? new Error(`${status} without a code: ${text}`) : new TypedError(status, code);
}

async function wholeBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw new BrokeOff('the answer broke off', { cause: error });
  }
  if (!response.complete) throw new BrokeOff('the answer broke off');
  return Buffer.concat(chunks);
}

function same(got: unknown, wanted: unknown): void {
  if (got !== wanted) throw new Error(`got ${String(got).slice(0, 200)}, not ${String(wanted).slice(0, 200)}`);
}
