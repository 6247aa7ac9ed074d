import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import type { WakeProgress } from '../../../src/instances/wake-progress.ts';
import { MOST_STREAMS_OF_ONE, WakeEvents } from '../../../src/proxy/wake-events.ts';
import type { Waker } from '../../../src/proxy/waker.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { until } from '../../lab/until.ts';

let server: Server;
let listeners: Set<(progress: WakeProgress) => void>;
let now: WakeProgress;

beforeEach(async () => {
  listeners = new Set();
  now = { phase: 'asleep' };
  const waker = {
    watch: (_reference: unknown, listener: (progress: WakeProgress) => void) => {
      listener(now);
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as Waker;
  const events = new WakeEvents(waker);
  server = createServer((request, response) => events.serve(request, response, parseReference(request.url!.slice(1))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const tell = (progress: WakeProgress): void => {
  for (const listener of listeners) listener(progress);
};

function open(method = 'GET', reference = 'alice/web'): Promise<{ answer: IncomingMessage; phases: () => string[]; text: () => string; ended: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const request = get({ port: (server.address() as AddressInfo).port, method, path: `/${reference}` }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      const ended = new Promise<void>((over) => answer.once('close', over));
      const phases = (): string[] => [...text.matchAll(/^data: (.*)$/gm)].map((match) => (JSON.parse(match[1]!) as { phase: string }).phase);
      resolve({ answer, phases, text: () => text, ended });
    });
    request.on('error', reject);
  });
}

describe('the events of a wake', () => {
  it('tell where it is, each step, and end when it is ready', async () => {
    const stream = await open();
    expect(stream.answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    await until('it is watched', () => listeners.size === 1);
    tell({ phase: 'creating' });
    tell({ phase: 'starting' });
    tell({ phase: 'ready' });
    await stream.ended;
    expect(stream.phases()).toEqual(['asleep', 'ready']);
    expect(listeners.size).toBe(0);
  });

  it('leave out what comes faster than eyes, but never the newest', async () => {
    const stream = await open();
    await until('it is watched', () => listeners.size === 1);
    for (let doneBytes = 1; doneBytes <= 1000; doneBytes += 1) tell({ phase: 'pulling', layers: [{ id: 'a', phase: 'downloading', doneBytes, totalBytes: 1000 }] });
    await until('the newest is told', () => stream.text().includes('"doneBytes":1000'));
    expect(stream.phases().length).toBeLessThan(5);
    stream.answer.destroy();
  });

  it('tell why it failed and when it is tried again, without what only insiders may see', async () => {
    now = { phase: 'failed', error: new PipesError('instance_failed', 'It exited.', { retryAfterS: 4, members: { exitCode: 3 }, privateDetail: ['secret line'] }) };
    const stream = await open();
    await stream.ended;
    expect(stream.text()).toContain('"code":"instance_failed"');
    expect(stream.text()).toContain('"exitCode":3');
    expect(stream.text()).toContain('"retryAfterS":4');
    expect(stream.text()).not.toContain('secret');
    expect(listeners.size).toBe(0);
  });

  it('leave nothing behind when clients leave', async () => {
    for (let at = 0; at < 1_000; at += 1) (await open()).answer.destroy();
    await until('nobody is watched for', () => listeners.size === 0);
  });

  it('come at most ten times a second, also when they come evenly', async () => {
    const stream = await open();
    await until('it is watched', () => listeners.size === 1);
    const startedMs = performance.now();
    let ahead = 0;
    const telling = setInterval(() => tell({ phase: 'queued', ahead: (ahead += 1) }), 7);
    await until('some were told', () => stream.phases().length > 8);
    clearInterval(telling);
    // The first comes at once, and timers may be early by a millisecond.
    expect(performance.now() - startedMs).toBeGreaterThan(7 * 98);
    stream.answer.destroy();
  });

  it('reach who reads slowly too: the newest, once there is room', async () => {
    const stream = await open();
    await until('it is watched', () => listeners.size === 1);
    stream.answer.pause();
    const id = 'x'.repeat(1_000_000);
    // More than all buffers on the way take, then nothing more to come after it.
    for (let doneBytes = 1; doneBytes <= 12; doneBytes += 1) {
      tell({ phase: 'pulling', layers: [{ id, phase: 'downloading', doneBytes, totalBytes: 12 }] });
      await new Promise((resolve) => setTimeout(resolve, 110));
    }
    stream.answer.resume();
    await until('the newest is told', () => stream.text().includes('"doneBytes":12'));
    stream.answer.destroy();
  });

  it('are for so many at once of one target, and others have theirs', async () => {
    const streams = await Promise.all(Array.from({ length: MOST_STREAMS_OF_ONE }, () => open()));
    const refused = await open();
    expect([refused.answer.statusCode, refused.answer.headers['retry-after']]).toEqual([503, '5']);
    expect((await open('GET', 'alice/other')).answer.statusCode).toBe(200);
    streams[0]!.answer.destroy();
    await until('a place is free', async () => {
      const { answer } = await open();
      answer.destroy();
      return answer.statusCode === 200;
    });
    for (const { answer } of streams) answer.destroy();
  });

  it('can only be read', async () => {
    const { answer } = await open('POST');
    expect(answer.statusCode).toBe(405);
    expect(answer.headers.allow).toBe('GET');
  });
});
