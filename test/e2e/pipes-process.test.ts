import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { request } from '../lab/http-client.ts';
import { FixtureImages } from '../lab/images.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { openWebSocket } from '../lab/web-socket.ts';

describe('the built program, as a process', () => {
  const lab = useLab();
  const images = new FixtureImages(lab.dockerHost);
  const host = 'one.process.lab.localhost';
  let pipes: PipesProcess;

  beforeAll(async () => {
    await images.publish(`${lab.openRegistry}/lab/process:one`, { from: 'mimic', env: { VERSION: '1' } });
    pipes = await startPipes();
  });
  afterAll(async () => {
    await request(pipes.port, { host, path: '/__proxyapi/container', method: 'DELETE', token: pipes.token });
    await pipes.stop();
    await images.remove(`${lab.openRegistry}/lab/process:one`);
  });

  it('pulls, starts and forwards for the first request', async () => {
    const answer = await request(pipes.port, { host });
    expect(answer.text).toBe('mimic 1\n');
    expect(answer.status).toBe(200);
  });

  it('passes trailers, bodies and WebSockets on', async () => {
    const answer = await request(pipes.port, { host, path: '/trailers' });
    expect(answer.trailers).toEqual({ 'x-checksum': 'abc', 'x-second': 'two' });
    const sink = await request(pipes.port, { host, path: '/sink', body: Buffer.alloc(100_000) });
    expect(sink.json().bytes).toBe(100_000);
    const socket = await openWebSocket(pipes.port, host, '/?greet=hello');
    expect((await socket.next()).toString()).toBe('hello');
    socket.send('again');
    expect((await socket.next()).toString()).toBe('again');
    expect(await socket.close()).toBe(1000);
  });

  it('writes a log that is read here', () => {
    expect(pipes.logLines().filter((line) => line['msg'] === 'request').length).toBeGreaterThan(0);
  });

  it('exits with 0 when it is told to stop', async () => {
    const other = await startPipes();
    await other.stop();
    expect(other.exitCode()).toBe(0);
  });
});
