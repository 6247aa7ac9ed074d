import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../lab/free-port.ts';
import { until } from '../lab/until.ts';
import { check, within } from './fuzzing.ts';
import { anyBytes, broken, oddText, pieces } from './inputs.ts';
import { OddEngine } from './odd-engine.ts';
import { twist } from './twists.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/pipes.js', import.meta.url));
const TOKEN = 'a-token-for-fuzzing';

let root: string;
let engine: OddEngine;
let app: http.Server;
let registry: Server;
let registrySays: readonly Buffer[] = [];
let pipes: ChildProcess;
let port: number;
let printed = '';
const open = new Set<Socket>();

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'pipes-fuzz-process-'));
  engine = new OddEngine();
  await engine.start();
  app = http.createServer((_request, response) => response.end('the app'));
  registry = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    socket.once('data', () => {
      for (const piece of registrySays) socket.write(piece);
      socket.end();
    });
  });
  await Promise.all([app, registry].map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  engine.appPort = (app.address() as AddressInfo).port;
  port = await freePort();
  pipes = start({ REGISTRY: `127.0.0.1:${(registry.address() as AddressInfo).port}` });
  const note = (chunk: Buffer): void => void (printed += chunk.toString());
  pipes.stdout!.on('data', note);
  pipes.stderr!.on('data', note);
  await until('pipes listens', async () => (await ask('GET', '/health', 'localhost').catch(() => undefined))?.status === 200, 40_000);
});
afterAll(async () => {
  pipes.kill('SIGKILL');
  for (const socket of open) socket.destroy();
  app.closeAllConnections();
  await Promise.all([app, registry].map((server) => new Promise((resolve) => server.close(resolve))));
  await engine.stop();
  rmSync(root, { recursive: true, force: true });
});

function start(env: Readonly<Record<string, string>>, directory = root): ChildProcess {
  mkdirSync(join(directory, 'docker'), { recursive: true });
  const settings = { PATH: process.env['PATH'], HOME: directory, DOCKER_HOST: `unix://${engine.path}`, DOCKER_CONFIG: join(directory, 'docker'), CONFIG_DIR: join(directory, 'configs'), PORT: String(port), API_TOKEN: TOKEN, SSH_PORT: 'off', LOG_FORMAT: 'json', LOG_LEVEL: 'warn', PULL_TIMEOUT: '2s', START_TIMEOUT: '1s', CONNECT_TIMEOUT: '1s', UPSTREAM: 'publish', EGRESS: 'all', ...env };
  return spawn(process.execPath, [PROGRAM, 'serve'], { cwd: directory, env: settings, stdio: ['ignore', 'pipe', 'pipe'] });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(method: string, path: string, host: string, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', method, path, headers: { host, ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('close', () => resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end();
  });
}

/** What a raw connection is told until it is closed. */
function say(bytes: readonly Buffer[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let told = '';
    socket.on('data', (chunk) => (told += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(told));
    for (const piece of bytes) socket.write(piece);
    socket.end();
  });
}

/** Faults of pipes' own are logged as such; 400 from the engine means that what pipes asked was twisted on the way back. */
function ownFaults(since: number): string[] {
  return printed.slice(since).split('\n').filter((line) => /"level":"fatal"|at .*\/dist\/.*TypeError|TypeError|RangeError|ReferenceError/.test(line));
}

async function expectWell(since: number, about: string): Promise<void> {
  expect(pipes.exitCode, about).toBeNull();
  expect((await within(20_000, 'health', ask('GET', '/health', 'localhost'))).status).toBe(200);
  expect(ownFaults(since), about).toEqual([]);
}

describe('pipes, as it is run', () => {
  it('forwards while its engine is sane', async () => {
    engine.twist = undefined;
    expect(await ask('GET', '/', 'web.alice.localhost')).toEqual({ status: 200, text: 'the app' });
  });

  it('answers everybody in time, and goes on, whatever engine and registry say', async () => {
    const questions = fc.constantFrom<[string, string, string]>(['GET', '/', 'x.localhost'], ['GET', '/__proxyapi/container', 'x.localhost'], ['POST', '/__proxyapi/container/start', 'x.localhost'], ['DELETE', '/__proxyapi/container', 'x.localhost'], ['GET', '/__proxyapi/container/logs', 'web.alice.localhost'], ['GET', '/__proxyapi/container/stats', 'web.alice.localhost'], ['GET', '/containers', 'localhost'], ['GET', '/metrics', 'localhost']);
    const where = fc.constantFrom(/./, /^GET \/containers/, /^GET \/images/, /images\/create/, /containers\/create/, /\/start$/, /\/json$/, /networks/, /events/);
    const registryAnswer = fc.oneof(anyBytes, broken(Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"name":"alice/web","tags":["Main","main"]}'))).chain(pieces);
    let round = 0;
    await check(
      fc.asyncProperty(twist, where, fc.array(questions, { minLength: 1, maxLength: 3 }), registryAnswer, fc.array(anyBytes, { maxLength: 2 }), async (next, pattern, asked, answer, events) => {
        const since = printed.length;
        round += 1;
        registrySays = answer;
        engine.twist = (request) => (pattern.test(request) && !request.endsWith('/version') ? next : undefined);
        await engine.tell(events);
        const answers = await Promise.all(asked.map(([method, path, host]) => within(30_000, `${method} ${host}${path}`, ask(method, path, host.replace('x', `t${round}.web.alice`), { authorization: `Bearer ${TOKEN}` }))));
        for (const [at, { status, text }] of answers.entries()) {
          const about = `${asked[at]!.join(' ')} (${pattern.source}): ${status} ${text}\n${printed.slice(since).slice(-3000)}`;
          // Status 400 of the engine is a mistake of pipes, unless somebody twists it.
          if (status === 500) expect(text, about).toContain('refused what pipes asked of it');
          if (status >= 400 && !text.startsWith('the app')) expect(JSON.parse(text), about).toMatchObject({ code: expect.any(String) as string });
        }
        engine.twist = undefined;
        await expectWell(since, `${pattern.source} ${asked.join(';')}`);
      }),
      50,
    );
    // Nothing of it stays.
    engine.twist = undefined;
    await until('the app is forwarded to again', async () => (await ask('GET', '/', 'fresh.web.alice.localhost')).text === 'the app', 30_000, 200);
  });

  it('answers any host and any bytes', async () => {
    const line = fc.tuple(fc.constantFrom('GET', 'POST', 'OPTIONS', 'PUT', 'FOO', ''), fc.oneof(fc.constantFrom('/', '*', '/__proxyapi/container', '//__proxyapi', '/%5f_proxyapi/container', 'http://web.alice.localhost/', '/tokens/%ff', '/\u0000', '/?a[__proto__]=1'), oddText), fc.oneof(fc.constantFrom('localhost', '127.0.0.1', '[::1]', 'web.alice.localhost', 'a--b.localhost', ''), oddText), fc.oneof(fc.constant(''), oddText)).map(([method, target, host, rest]) => Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${rest}\r\n\r\n`, 'latin1'));
    await check(
      fc.asyncProperty(fc.oneof({ weight: 4, arbitrary: line }, { weight: 1, arbitrary: anyBytes }).chain(pieces), async (chunks) => {
        const since = printed.length;
        const told = await within(40_000, Buffer.concat(chunks).toString('latin1'), say(chunks));
        if (told !== '') expect(told).toMatch(/^HTTP\/1\.1 (?!500)\d{3} /);
        await expectWell(since, JSON.stringify(Buffer.concat(chunks).toString('latin1')));
      }),
      150,
    );
  });
});

describe('a start that cannot be', () => {
  /** Exit code and what is said. */
  async function failedStart(directory: string, env: Readonly<Record<string, string>> = {}): Promise<{ code: number | null; said: string }> {
    const child = start({ ...env, PORT: String(await freePort()) }, directory);
    let said = '';
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const code = await within(30_000, 'a start that fails', new Promise<number | null>((resolve) => child.once('exit', resolve))).finally(() => child.kill('SIGKILL'));
    return { code, said };
  }

  it.each([
    ['pipes.json that holds null', 'configs/pipes.json', 'null', {}],
    ['pipes.json that is cut off', 'configs/pipes.json', '{"version":2,"owner":"01', {}],
    ['pipes.json with keys of two lines', 'configs/pipes.json', '{"version":2,"owner":"0123456789abcdef","containers":{"a\\nb\\u001b[2J":{}},"repositories":{},"tokens":[],"images":[]}', {}],
    ['config.json that is no JSON', 'docker/config.json', '{"auths":', {}],
    ['.env with a wrong value', '.env', 'MEMORY="5m\n\u001b[2J"', {}],
    ['REGISTRY that Docker would take for a user', 'x', '', { REGISTRY: 'registry' }],
    ['TRUST_PROXY that names an interface', 'x', '', { TRUST_PROXY: 'fe80::1%eth0' }],
  ])('ends with one line for %s', async (_what, file, text, env) => {
    const directory = mkdtempSync(join(root, 'start-'));
    mkdirSync(join(directory, 'configs'), { recursive: true });
    mkdirSync(join(directory, 'docker'), { recursive: true });
    writeFileSync(join(directory, file), text);
    const { code, said } = await failedStart(directory, env);
    expect({ code, said }).toMatchObject({ code: 1, said: expect.stringMatching(/^pipes: [^\n\u001b]+\n$/) as string });
    expect(readFileSync(join(directory, file), 'utf8')).toBe(text);
  });
});
