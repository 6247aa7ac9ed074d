import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { Agent, type OutgoingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENDPOINTS, type Endpoint, type NeededScope } from '../../src/api/contract/endpoints.ts';
import { Apps, type App } from '../lab/apps.ts';
import { runPipes, type CommandResult } from '../lab/command-line.ts';
import { openRequest, request, type Answer } from '../lab/http-client.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

/** Tokens from the command line to the request, as an operator and those he gives them to meet them. */

const apps = new Apps('tokens');
const MADE = /^pipes_[A-Za-z0-9_-]{43}$/;
let pipes: PipesProcess;
let app: App;
/** Made first, so that its time runs while the others are tried. */
let short: { token: string; wasValid: boolean };

const pipesTokens = (...args: string[]): Promise<CommandResult> => runPipes(pipes, ['tokens', ...args]);
const platform = (path: string, token?: string, more: { agent?: Agent; method?: string; body?: object } = {}): Promise<Answer> => request(pipes.port, { host: 'localhost', path, ...(token === undefined ? {} : { token }), ...more });

async function made(name: string, ...scopes: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await pipesTokens('add', name, ...scopes.flatMap((scope) => ['--scope', scope]));
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout.trim()).toMatch(MADE);
  return stdout.trim();
}

/** The same without a process of its own. */
async function madeByRequest(name: string, ...scopes: string[]): Promise<string> {
  const answer = await platform('/tokens', pipes.token, { body: { name, scopes } });
  expect([answer.status, answer.json()]).toEqual([201, { token: expect.stringMatching(MADE) as string, name, scopes, expiresAt: null }]);
  return answer.json<{ token: string }>().token;
}

beforeAll(async () => {
  app = await apps.build('web', { from: 'tiny', command: ['/bin/sh', '-c', 'echo web > /www/index.html; (while :; do echo tick; sleep 0.2; done) & exec httpd -f -p 80 -h /www'] });
  pipes = await startPipes();
  const expires = new Date(Date.now() + 10_000).toISOString();
  const { token } = JSON.parse((await pipesTokens('add', 'short', '--scope', `read:${apps.user}`, '--expires', expires, '--json')).stdout) as { token: string };
  short = { token, wasValid: Date.parse(expires) - Date.now() < 2_000 || (await platform('/containers', token)).status === 200 };
});
afterAll(async () => await pipes.stop());

describe('pipes tokens', () => {
  it('shows a token once: neither the list, nor the file, nor the log has it', async () => {
    const token = await made('ci', `deploy:${apps.user}/*`, 'read:*/*');
    const listed = await pipesTokens('ls');
    expect(listed.stdout).toMatch(new RegExp(`^ci +deploy:${apps.user}/\\* read:\\*/\\* +\\d{4}-.*never$`, 'm'));
    const json = await pipesTokens('ls', '--json');
    expect(JSON.parse(json.stdout)).toContainEqual({ name: 'ci', scopes: [`deploy:${apps.user}/*`, 'read:*/*'], createdAt: expect.stringMatching(/^\d{4}-/) as string, expiresAt: null });
    expect((await platform('/tokens', pipes.token)).text).not.toContain(token);
    const files = readdirSync(pipes.configDir).filter((name) => name.startsWith('pipes.json')).map((name) => readFileSync(join(pipes.configDir, name), 'utf8')).join('\n');
    expect(files).toContain(createHash('sha256').update(token).digest('hex'));
    for (const place of [listed.stdout, json.stdout, files, pipes.output()]) expect(place).not.toContain(token.slice('pipes_'.length));
    expect(await madeByRequest('ci-2', 'read:*')).not.toBe(token);
    // Also in its second start nothing tells it, and it is as good as before.
    await pipes.stop();
    pipes = await startPipes({ configDir: pipes.configDir, port: pipes.port });
    expect((await platform('/containers', token)).status).toBe(200);
  });

  it.each<[string, string[], RegExp]>([
    ['a name that is taken', ['add', 'twice', '--scope', 'admin'], /twice.*invalid_request/],
    ['a scope that is none', ['add', 'x', '--scope', 'write:alice'], /scopes\[0\]: must be admin, deploy:<pattern> or read:<pattern>/],
    ['no scope', ['add', 'x'], /--scope/],
    ['an end in the past', ['add', 'x', '--scope', 'admin', '--expires', '2001-01-01T00:00:00Z'], /expires: must be in the future/],
    ['an end that is no time', ['add', 'x', '--scope', 'admin', '--expires', 'soon'], /expires: must be a duration such as 30d/],
    ['a name that is none', ['add', '../x', '--scope', 'admin'], /name: must be up to 64 letters/],
    ['one to end that is not there', ['rm', 'nobody'], /There is no token with the name "nobody"/],
  ])('refuses %s, and says why', async (_what, args, why) => {
    if (args[1] === 'twice') await madeByRequest('twice', 'read:*');
    const { exitCode, stdout, stderr } = await pipesTokens(...args);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(why);
    expect(stderr).not.toContain('    at ');
  });

  it('needs an admin token itself', async () => {
    const deploy = await madeByRequest('deployer', 'deploy:*/*');
    for (const [args, token, why] of [
      [['ls'], deploy, /needs an admin token; "deployer" is none/],
      [['add', 'mine', '--scope', 'admin'], deploy, /needs an admin token/],
      [['rm', 'deployer'], deploy, /needs an admin token/],
      [['ls'], `${deploy.slice(0, -1)}${deploy.endsWith('A') ? 'B' : 'A'}`, /token in PIPES_TOKEN is not known there/],
      [['ls'], '', /Set PIPES_TOKEN/],
    ] as const) {
      const { exitCode, stderr } = await runPipes(pipes, ['tokens', ...args], token);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(why);
    }
  });

  it('ends a token at once, also for a connection that stands and for who follows the output', async () => {
    const token = await made('revoked', `deploy:${apps.user}`);
    expect((await request(pipes.port, { host: app.host })).status).toBe(200);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (): Promise<{ status: number; connection: unknown }> => {
      const { response } = await openRequest(pipes.port, { host: app.host, path: '/__proxyapi/container', token, agent });
      const connection = response.socket.localPort;
      await response.resume().toArray();
      return { status: response.statusCode!, connection };
    };
    const before = await ask();
    expect(before.status).toBe(200);
    const { response: followed } = await openRequest(pipes.port, { host: app.host, path: '/__proxyapi/container/logs?follow', token });
    let output = '';
    const over = (async () => {
      for await (const chunk of followed) output += String(chunk);
    })();
    await until('it shows what is written', () => output.includes('tick'));
    expect(await pipesTokens('rm', 'revoked')).toMatchObject({ exitCode: 0, stdout: 'The token "revoked" is gone.\n' });
    expect(await ask()).toEqual({ status: 401, connection: before.connection });
    await over;
    agent.destroy();
    // The name is free again, and the old text stays worthless.
    expect(await madeByRequest('revoked', 'admin')).not.toBe(token);
    expect((await platform('/containers', token)).status).toBe(401);
  });
});

describe('each endpoint', () => {
  const holders: Record<string, string[]> = { nobody: [], stranger: ['deploy:someone-else/*', 'read:else'], reader: ['read:USER/web'], deployer: ['deploy:USER/*'], watcher: ['read:*/*'], admin: ['admin'] };
  const tokens = new Map<string, string>();
  beforeAll(async () => {
    for (const [holder, scopes] of Object.entries(holders)) {
      if (scopes.length > 0) tokens.set(holder, await madeByRequest(`for-${holder}`, ...scopes.map((scope) => scope.replace('USER', apps.user))));
    }
  });

  const allowed: Record<NeededScope, readonly string[]> = {
    none: Object.keys(holders),
    any: ['stranger', 'reader', 'deployer', 'watcher', 'admin'],
    read: ['reader', 'deployer', 'watcher', 'admin'],
    deploy: ['deployer', 'admin'],
    everything: ['watcher', 'admin'],
    admin: ['admin'],
  };

  it.each(ENDPOINTS.map((endpoint) => [`${endpoint.method} ${endpoint.place === 'target' ? '/__proxyapi' : ''}${endpoint.path}`, endpoint] as const))('%s lets in exactly who may', async (_name, endpoint) => {
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const holder of Object.keys(holders)) {
      const { status, text } = await call(endpoint, tokens.get(holder));
      found[holder] = status === 401 || status === 403 ? `${status} ${(JSON.parse(text) as { code: string }).code}` : 'in';
      // The registry's webhook takes any deploy token, and touches only what that reaches.
      const isIn = allowed[endpoint.scope].includes(holder) || (endpoint.path === '/webhooks/registry' && holder === 'stranger');
      expected[holder] = isIn ? 'in' : holder === 'nobody' ? '401 unauthorized' : '403 forbidden';
    }
    expect(found).toEqual(expected);
  });

  /** Without effect, where that can be: on a tag that nothing is of, of a registry that answers at once. */
  async function call({ place, method, path, body }: Endpoint, token: string | undefined): Promise<Answer> {
    const asked = path.replace(':name', 'none-of-this-name').replace(':user', apps.user).replace(':repo', 'web');
    return await request(pipes.port, {
      host: place === 'target' ? apps.app('web', 'no-such-tag').host : 'localhost',
      path: `${place === 'target' ? '/__proxyapi' : ''}${asked}`,
      method,
      ...(token === undefined ? {} : { token }),
      ...(body === undefined ? {} : { body: {} }),
    });
  }

  it('shows in a list only what the token may read', async () => {
    await request(pipes.port, { host: app.host });
    const seen = async (holder: string) => (await platform('/containers', tokens.get(holder))).json<{ reference: string }[]>().map(({ reference }) => reference);
    expect(await seen('reader')).toContain(app.reference);
    expect(await seen('stranger')).toEqual([]);
  });
});

describe('who guesses', () => {
  const elsewhere = new Agent({ localAddress: '127.0.0.2' });

  it('is slowed, alone, and a token that pipes made still works', async () => {
    const good = await madeByRequest('steady', 'admin');
    const guesser = { agent: new Agent({ localAddress: '127.0.0.3' }) };
    let tries = 0;
    /** Guesses on until it is slowed: on a busy machine the time until the next try may be over before that try. */
    const slowed = async (how: { host?: string; path?: string; headers?: OutgoingHttpHeaders } = {}): Promise<Answer> => await until('it is slowed', async () => {
      const answer = await request(pipes.port, { host: 'localhost', path: '/containers', token: `wrong-guess-number-${tries++}`, ...guesser, ...how });
      expect([401, 429]).toContain(answer.status);
      return answer.status === 429 ? answer : undefined;
    });
    const first = await slowed();
    expect(tries).toBeGreaterThan(10);
    expect(first.json()).toMatchObject({ code: 'rate_limited' });
    expect(Number(first.headers['retry-after'])).toBeGreaterThan(0);
    // On every host, and no header makes another client of it.
    tries = 0;
    await slowed({ host: app.host, path: '/__proxyapi/container' });
    await slowed({ headers: { 'x-forwarded-for': '192.0.2.9', forwarded: 'for=192.0.2.9' } });
    expect(tries).toBeLessThan(10);
    // Even the right one, where it could have been guessed.
    await until('API_TOKEN is slowed too', async () => (await slowed()).status === (await platform('/containers', pipes.token, guesser)).status);
    expect((await platform('/containers', good, guesser)).status).toBe(200);
    expect((await platform('/containers', pipes.token, { agent: elsewhere })).status).toBe(200);
    expect((await platform('/containers', 'wrong', { agent: elsewhere })).status).toBe(401);
    // Nor are visitors of apps concerned.
    expect((await request(pipes.port, { host: app.host, ...guesser })).status).toBe(200);
    await until('it may try again', async () => (await platform('/containers', pipes.token, guesser)).status === 200, 30_000, 200);
  });
});

describe('API_AUTH=none', () => {
  it('needs no token, and says so at each start', async () => {
    let configDir: string | undefined;
    for (const start of ['first', 'second']) {
      const open = await startPipes({ env: { API_AUTH: 'none', API_TOKEN: undefined }, ...(configDir === undefined ? {} : { configDir }) });
      configDir = open.configDir;
      try {
        expect([start, open.output()]).toEqual([start, expect.stringContaining('API_AUTH is none, so whoever reaches this port can change what runs')]);
        expect(await runPipes(open, ['tokens', 'ls'], '')).toMatchObject({ exitCode: 0, stderr: '' });
        expect((await request(open.port, { host: app.host, path: '/__proxyapi/container' })).status).toBe(200);
        expect((await request(open.port, { host: app.host, path: '/__proxyapi/container', headers: { 'sec-fetch-site': 'same-site' } })).status).toBe(404);
        expect((await request(open.port, { host: 'localhost', path: '/tokens', headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(401);
      } finally {
        await open.stop();
      }
    }
  });
});

describe('a token with an end', () => {
  it('opens nothing after it', async () => {
    expect(short.wasValid).toBe(true);
    await until('it has ended', async () => (await platform('/containers', short.token)).status === 401, 30_000, 100);
    expect((await platform('/containers', short.token)).json()).toMatchObject({ code: 'unauthorized' });
    expect((await pipesTokens('ls')).stdout).toMatch(/^short /m);
  });
});
