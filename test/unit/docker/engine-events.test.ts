import { createServer, type Server, type ServerResponse } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/core/log.ts';
import { EngineClient } from '../../../src/docker/client.ts';
import { followEvents } from '../../../src/docker/engine-events.ts';
import type { BackendListener } from '../../../src/instances/backend.ts';

let directory: string;
let socket: string;
let server: Server | undefined;
let streams: ServerResponse[];
let told: string[];
let stop: (() => Promise<void>) | undefined;

const listener: BackendListener = {
  changed: (id, what) => told.push(`${id} ${what}`),
  lost: () => told.push('lost'),
  restored: () => told.push('restored'),
};

async function engine(): Promise<void> {
  server = createServer((request, response) => {
    if (request.url === '/version') return response.end('{"ApiVersion":"1.41","MinAPIVersion":"1.12"}');
    response.flushHeaders();
    streams.push(response);
    return response;
  });
  await new Promise<void>((resolve) => server!.listen(socket, resolve));
}
async function stopEngine(): Promise<void> {
  const stopping = server;
  server = undefined;
  if (!stopping) return;
  stopping.closeAllConnections();
  await new Promise((resolve) => stopping.close(resolve));
}
function follow(): void {
  const following = followEvents(new EngineClient({ host: socket }), listener, silentLog);
  stop = async () => await following.stop();
}
const event = (Action: string, ID = 'c1'): string => `${JSON.stringify({ Type: 'container', Action, Actor: { ID } })}\n`;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pipes-events-'));
  socket = join(directory, 'docker.sock');
  streams = [];
  told = [];
});
afterEach(async () => {
  await stop?.();
  await stopEngine();
  await rm(directory, { recursive: true });
});

describe('followEvents', () => {
  it('tells what it knows and passes over the rest', async () => {
    await engine();
    follow();
    await expect.poll(() => told).toEqual(['restored']);
    streams[0]!.write(event('start') + event('exec_create: sh') + event('die').slice(0, 20));
    streams[0]!.write(event('die').slice(20) + event('pause') + event('unpause') + event('destroy', 'c2'));
    await expect.poll(() => told).toEqual(['restored', 'c1 started', 'c1 crashed', 'c1 paused', 'c1 unpaused', 'c2 removed']);
  });

  it('tells one that was killed from one that ended by itself', async () => {
    await engine();
    follow();
    await expect.poll(() => told).toEqual(['restored']);
    streams[0]!.write(event('kill') + event('die', 'c2') + event('die') + event('start') + event('die'));
    // A signal that it survived says nothing about its next life.
    streams[0]!.write(event('kill') + event('start') + event('die'));
    await expect.poll(() => told).toEqual(['restored', 'c2 crashed', 'c1 died', 'c1 started', 'c1 crashed', 'c1 started', 'c1 crashed']);
  });

  it('tells one loss once, and that it is over, whether the stream ends, breaks or is nonsense', async () => {
    await engine();
    follow();
    await expect.poll(() => told).toEqual(['restored']);
    streams[0]!.end();
    await expect.poll(() => told).toEqual(['restored', 'lost', 'restored']);
    streams[1]!.write('nonsense\n');
    await expect.poll(() => told.length).toBe(5);
    await stopEngine();
    await expect.poll(() => told.length).toBe(6);
    await engine();
    await expect.poll(() => told, { timeout: 5_000 }).toEqual(['restored', 'lost', 'restored', 'lost', 'restored', 'lost', 'restored']);
    expect(streams).toHaveLength(4);
  });

  it('asks an engine that talks nonsense again and again, later each time', async () => {
    const askedAtMs: number[] = [];
    server = createServer((request, response) => {
      if (request.url === '/version') return response.end('{"ApiVersion":"1.41","MinAPIVersion":"1.12"}');
      askedAtMs.push(performance.now());
      return response.end('nonsense\n');
    });
    await new Promise<void>((resolve) => server!.listen(socket, resolve));
    follow();
    await expect.poll(() => askedAtMs.length, { timeout: 20_000 }).toBe(4);
    const pausesMs = askedAtMs.slice(1).map((atMs, index) => atMs - askedAtMs[index]!);
    // Timers may be late, and by a hair early.
    for (const [index, least] of [200, 400, 800].entries()) expect(pausesMs[index]).toBeGreaterThan(least - 5);
    expect(told.slice(0, 4)).toEqual(['restored', 'lost', 'restored', 'lost']);
  });

  it('says at once when there is no engine to begin with, and ends when told', async () => {
    follow();
    await expect.poll(() => told).toEqual(['lost']);
    await stop!();
    await engine();
    expect(streams).toHaveLength(0);
  });
});
