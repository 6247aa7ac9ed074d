import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Apps, type App } from '../test/lab/apps.ts';
import { request } from '../test/lab/http-client.ts';
import { startPipes, type PipesProcess } from '../test/lab/pipes-process.ts';
import { keptHeapBytes } from '../test/lab/heap.ts';
import { processFacts } from '../test/lab/process-facts.ts';
import { KnownInstances } from '../test/fakes/known-instances.ts';
import { makeTable } from '../test/fakes/table-bench.ts';
import { report, table } from './report.ts';

const CONNECTIONS = 1_000;
const INSTANCES = 2_000;
const RESTS_MS = 5_000;

const apps = new Apps('benchmem');
const rows: string[][] = [];
let app: App;
let pipes: PipesProcess;

beforeAll(async () => {
  app = await apps.build('rests', { from: 'tiny' });
  pipes = await startPipes();
});
afterAll(async () => {
  await request(pipes.port, { host: app.host, method: 'DELETE', path: '/__proxyapi/container', token: pipes.token });
  await pipes.stop();
  report('4-memory', `## Memory and rest\n\nCPU is that of ${RESTS_MS / 1000} s without a request.\n\n${table(['', 'MB', 'CPU ms per second'], rows)}`);
});

it('at rest, and with idle connections', async () => {
  expect((await request(pipes.port, { host: app.host })).status).toBe(200);
  const aloneBytes = processFacts(pipes.pid).rssBytes;
  rows.push(['the process, one target awake (resident)', megabytes(aloneBytes), await cpuAtRest(() => processFacts(pipes.pid).cpuMs)]);
  const sockets: Socket[] = [];
  for (let opened = 0; opened < CONNECTIONS; opened += 1) sockets.push(await idleConnection());
  const withBytes = processFacts(pipes.pid).rssBytes;
  rows.push([`the same with ${CONNECTIONS} idle keep-alive connections (resident)`, megabytes(withBytes), await cpuAtRest(() => processFacts(pipes.pid).cpuMs)]);
  for (const socket of sockets) socket.destroy();
});

it('instances that nobody uses', async () => {
  const beforeBytes = keptHeapBytes();
  const known = makeTable({ backend: new KnownInstances(INSTANCES), defaults: { idle: { pauseMs: 120_000, stopMs: 1_800_000, removeMs: 604_800_000 } } });
  await known.table.open();
  expect(known.table.reports()).toHaveLength(INSTANCES);
  const keptBytes = keptHeapBytes() - beforeBytes;
  const cpu = await cpuAtRest(() => (process.cpuUsage().user + process.cpuUsage().system) / 1000);
  rows.push([`${INSTANCES} known instances on a fake engine (heap; may be 60 MB)`, `+${megabytes(keptBytes)}`, cpu]);
  await known.close();
});

/** After one request, kept open. */
async function idleConnection(): Promise<Socket> {
  const socket = connect({ port: pipes.port, host: '127.0.0.1' });
  socket.write(`GET / HTTP/1.1\r\nHost: ${app.host}\r\n\r\n`);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  expect(bytes.toString('latin1', 0, 12)).toBe('HTTP/1.1 200');
  return socket.on('error', () => undefined).resume();
}

async function cpuAtRest(cpuMs: () => number): Promise<string> {
  const beforeMs = cpuMs();
  await wait(RESTS_MS);
  return ((cpuMs() - beforeMs) / (RESTS_MS / 1000)).toFixed(1);
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
