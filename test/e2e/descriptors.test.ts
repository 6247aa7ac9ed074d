import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { request } from '../lab/http-client.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { processFacts } from '../lab/process-facts.ts';
import { until } from '../lab/until.ts';
import { openWebSocket } from '../lab/web-socket.ts';

const MOST = 256;
const apps = new Apps('descriptors');
let app: App;
let pipes: PipesProcess;
let clients: Client[];

/** A connection that says nothing of itself. */
interface Client {
  readonly socket: Socket;
  isOpen: boolean;
  received: string;
}

beforeAll(async () => {
  app = await apps.build('app');
});
beforeEach(async () => {
  clients = [];
  pipes = await startPipes({ openFiles: MOST });
  expect((await request(pipes.port, { host: app.host })).text).toBe(greeting(app));
});
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  await pipes.stop();
});

async function connected(): Promise<Client> {
  const socket = connect(pipes.port, '127.0.0.1');
  const client: Client = { socket, isOpen: true, received: '' };
  clients.push(client);
  socket.on('data', (chunk: Buffer) => (client.received += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => (client.isOpen = false));
  socket.on('end', () => (client.isOpen = false));
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return client;
}
const open = () => clients.filter(({ isOpen }) => isOpen);
const turnedAway = () => pipes.logLines().filter(({ msg }) => String(msg).includes('turned away'));

/** More and more of them, until one is turned away. */
async function fill(): Promise<void> {
  await until('one is turned away', async () => {
    for (let count = 0; count < 20; count += 1) await connected();
    return open().length < clients.length;
  }, 30_000);
}

async function expectRest(): Promise<void> {
  const before = processFacts(pipes.pid).cpuMs;
  await wait(1_500);
  // Whoever looped over what cannot be taken would use all of the time.
  expect(processFacts(pipes.pid).cpuMs - before).toBeLessThan(1_000);
}

async function expectRecovery(): Promise<void> {
  for (const { socket } of clients) socket.destroy();
  await until('new ones are taken', async () => await request(pipes.port, { host: app.host }).then(({ text }) => text === greeting(app), () => false), 30_000);
  await until('the descriptors are back', () => processFacts(pipes.pid).openFiles < MOST / 3, 30_000);
  expect(pipes.output()).not.toContain('nobody handled');
}

describe('a process whose descriptors are taken', () => {
  it('turns new clients away, serves those it has, wakes for them, writes, and recovers', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const old = (options: Partial<Parameters<typeof request>[1]> = {}) => request(pipes.port, { host: app.host, agent, timeoutMs: 30_000, ...options });
    const socket = await openWebSocket(pipes.port, app.host);
    await old();
    const cold = await apps.build('cold', { from: 'tiny' });
    await fill();
    expect(processFacts(pipes.pid).openFiles).toBeLessThan(MOST);
    for (let count = 0; count < 20; count += 1) expect((await old()).text).toBe(greeting(app));
    socket.send('still here');
    expect((await socket.next()).toString()).toBe('still here');
    expect((await old({ host: cold.host })).text).toBe(`${cold.reference}\n`);
    expect((await old({ path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { env: { A: '1' } } })).status).toBe(200);
    await expectRest();

    for (let count = 0; count < 300; count += 1) await connected();
    await until('all that are too many are gone', () => open().length < MOST);
    expect(turnedAway().length).toBeGreaterThan(0);
    expect(turnedAway().length).toBeLessThan(10);
    expect((await socket.close())).toBe(1000);
    agent.destroy();
    await expectRecovery();
  });

  it('down to the last one answers by name, rests, and recovers', async () => {
    await fill();
    for (const { socket } of open()) socket.write(`GET /hang HTTP/1.1\r\nHost: ${app.host}\r\n\r\n`);
    await until('none is left', () => processFacts(pipes.pid).openFiles >= MOST - 2, 20_000);
    const more = await connected();
    await until('it is turned away', () => !more.isOpen || more.received !== '', 30_000);
    await until('who got no way to the container was told so', () => clients.some(({ received }) => received.startsWith('HTTP/1.1 503')), 30_000);
    for (const { received } of clients) if (received !== '') expect(received).toMatch(/^HTTP\/1\.1 503 [^]*"code":"(?:queue_full|engine_unavailable)"/);
    await expectRest();
    expect(pipes.logLines().filter(({ level, msg }) => level === 'error' && msg !== 'request').length).toBeLessThan(10);
    await expectRecovery();
  });

  it('ends in order when it is told to', async () => {
    await fill();
    pipes.signal('SIGTERM');
    await until('it has ended', () => !pipes.runs(), 30_000);
    expect(pipes.exitCode()).toBe(0);
  });
});
