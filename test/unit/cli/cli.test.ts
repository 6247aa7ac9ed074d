import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/cli.ts';
import { PipesError } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/targets/reference.ts';
import { specOf } from '../../fakes/specs.ts';
import { until } from '../../lab/until.ts';
import { RunningApi } from '../api/running-api.ts';

async function run(argv: string, env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli(argv.split(' '), { env, stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) } });
  return { code, out, err };
}

describe('pipes url', () => {
  it('prints both forms below the base of PIPES_URL, without asking anybody', async () => {
    expect(await run('url alice/web:main')).toEqual({ code: 0, err: '', out: 'http://main.web.alice.localhost:8080/\nhttp://main--web--alice.localhost:8080/\n' });
    expect(await run('url alice/web', { PIPES_URL: 'https://pipes.example.com' })).toMatchObject({ out: 'https://web.alice.example.com/\nhttps://web--alice.example.com/\n' });
    expect(await run('url alice/web', { PIPES_URL: 'http://pipes.localhost:81' })).toMatchObject({ out: 'http://web.alice.localhost:81/\nhttp://web--alice.localhost:81/\n' });
  });

  it('prints the flat form alone where the plain one cannot carry it', async () => {
    expect((await run('url alice/web:Main')).out).toMatch(/^http:\/\/[^\n]*--web--alice\.localhost:8080\/\n$/);
  });

  it('prints JSON for programs, wherever --json stands', async () => {
    const document = { reference: 'alice/web:latest', plain: 'http://web.alice.localhost:8080/', flat: 'http://web--alice.localhost:8080/' };
    for (const argv of ['--json url alice/web', 'url alice/web --json']) expect(JSON.parse((await run(argv)).out)).toEqual(document);
  });

  it.each([
    ['url nonsense', {}, /user\/repo/],
    ['url alice/web', { PIPES_URL: 'nonsense' }, /PIPES_URL/],
    ['url alice/web', { PIPES_URL: 'http://127.0.0.1:8080' }, /host name/],
    [`url ${'a'.repeat(100)}/${'b'.repeat(100)}`, {}, /too long/],
  ])('refuses %s %j in one line', async (argv, env, message) => {
    const { code, out, err } = await run(argv, env);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});

describe('help and mistakes', () => {
  it('has a help for everything', async () => {
    for (const argv of ['--help', 'url --help', 'plan --help', 'ls --help', 'start --help', 'logs --help', 'domains --help', 'tokens --help', 'tokens add --help']) {
      const { code, out } = await run(argv);
      expect(code).toBe(0);
      expect(out).toContain('Usage: pipes');
    }
    expect((await run('--help')).out).toMatch(/serve[\s\S]*config[\s\S]*PIPES_URL/);
  });

  it.each(['nope', 'url', 'tokens add ci', 'ls --nope', 'tokens'])('fails for %s and says so', async (argv) => {
    const { code, err } = await run(argv);
    expect(code).not.toBe(0);
    expect(err).not.toBe('');
  });
});

describe('commands that ask a pipes', () => {
  let api: RunningApi;
  let env: Record<string, string>;
  beforeEach(async () => {
    api = new RunningApi();
    await api.start();
    env = { PIPES_URL: `http://localhost:${api.port}`, PIPES_TOKEN: await api.token('admin') };
  });
  afterEach(() => api.stop());

  it('tokens add prints the token alone; ls shows it; rm ends it', async () => {
    const made = await run('tokens add ci --scope deploy:alice/* --scope read:bob --expires 30d', env);
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(made.out).toMatch(/^pipes_[\w-]{43}\n$/);
    const listed = await run('tokens ls', env);
    expect(listed.out).toMatch(/^NAME +SCOPES +MADE +EXPIRES\n[\s\S]*ci +deploy:alice\/\* read:bob +20\S+ +20\S+\n$/);
    expect(JSON.parse((await run('tokens ls --json', env)).out)).toContainEqual(expect.objectContaining({ name: 'ci', scopes: ['deploy:alice/*', 'read:bob'] }));
    expect(await run('tokens rm ci', env)).toMatchObject({ code: 0 });
    expect(await run('tokens rm ci', env)).toMatchObject({ code: 1, err: expect.stringContaining('no token with the name "ci"') as string });
  });

  it('domains lists, adds and gives up the host names of a repository', async () => {
    expect(await run('domains alice/web', env)).toEqual({ code: 0, out: '', err: '' });
    expect(await run('domains alice/web add www.example.org shop.localhost', env)).toEqual({ code: 0, out: 'shop.localhost\nwww.example.org\n', err: '' });
    expect(JSON.parse((await run('domains alice/web add bücher.localhost shop.localhost --json', env)).out)).toEqual({ repository: 'alice/web', domains: ['shop.localhost', 'www.example.org', 'xn--bcher-kva.localhost'] });
    expect(await run('domains alice/web rm www.example.org bücher.localhost', env)).toMatchObject({ code: 0, out: 'shop.localhost\n' });
    expect(await run('domains bob/web add shop.localhost', env)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('domain_taken') as string });
  });

  it.each([
    ['domains alice/web:main', /without ":main"/],
    ['domains alice', /user\/repo/],
    ['domains alice/web drop a.localhost', /"add <host>…" or "rm <host>…"/],
    ['domains alice/web add', /which host names/],
    ['domains alice/web add *.localhost', /wildcards/],
    ['domains alice/web rm a.localhost', /is not bound/],
  ])('%s is refused in one line', async (argv, message) => {
    const { code, out, err } = await run(argv, env);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('names each fault of what it was given', async () => {
    const { code, err } = await run('tokens add ci --scope nonsense --expires soon', env);
    expect(code).toBe(1);
    expect(err).toMatch(/ {2}expires: must be a duration/);
  });

  it('start, stop and restart go to the host of the target', async () => {
    expect(await run('start alice/web:Main', env)).toEqual({ code: 0, out: 'alice/web:Main is running\n', err: '' });
    expect(await run('stop alice/web:Main', env)).toMatchObject({ out: 'alice/web:Main is stopped\n' });
    expect(JSON.parse((await run('restart alice/web:Main --json', env)).out)).toMatchObject({ reference: 'alice/web:Main', state: 'running' });
    expect(api.control.calls).toEqual(['start alice/web:Main', 'stop alice/web:Main', 'restart alice/web:Main']);
  });

  it('shows why a start failed, with the last lines', async () => {
    api.control.next = () => Promise.reject(new PipesError('instance_failed', 'It exited with 3.', { privateDetail: ['boom', 'bang'] }));
    expect(await run('start alice/web', env)).toEqual({ code: 1, out: '', err: 'pipes: It exited with 3. (instance_failed)\n  | boom\n  | bang\n' });
  });

  it('ls shows what runs', async () => {
    api.control.instances.set('alice/web:main', { state: 'paused', inFlight: 1 });
    expect((await run('ls', env)).out).toMatch(/^REFERENCE +STATE +OPEN +LAST USED +ERROR\nalice\/web:main +paused +1 +-\n$/);
    expect(JSON.parse((await run('ls --json', env)).out)).toMatchObject([{ reference: 'alice/web:main' }]);
  });

  it('logs prints what a container writes, follows it to its end, and says when there is none', async () => {
    const id = await api.backend.create(specOf(parseReference('alice/web'), {}));
    await api.backend.start(id);
    api.control.instances.set('alice/web:latest', { state: 'running', containerId: id });
    for (const line of ['one', 'two "2"', 'three']) api.backend.print(id, line);
    expect(await run('logs alice/web', env)).toEqual({ code: 0, out: 'one\ntwo "2"\nthree\n', err: '' });
    expect(await run('logs alice/web --tail 2 --json', env)).toMatchObject({ out: '"two \\"2\\""\n"three"\n' });
    const following = run('logs alice/web -f -n 1', env);
    await until('it is followed', () => api.backend.followers(id) > 0);
    api.backend.print(id, 'four');
    api.backend.kill(id);
    expect(await following).toEqual({ code: 0, out: 'three\nfour\n', err: '' });
    expect(await run('logs alice/none', env)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('not_found') as string });
    expect(await run('logs alice/web -n many', env)).toMatchObject({ code: 1, err: expect.stringContaining('tail') as string });
  });

  it('says what to do without a token, and with a wrong one', async () => {
    const { PIPES_URL = '' } = env;
    expect((await run('ls', { PIPES_URL })).err).toMatch(/Set PIPES_TOKEN/);
    expect((await run('ls', { PIPES_URL, PIPES_TOKEN: 'pipes_wrong' })).err).toMatch(/The token in PIPES_TOKEN/);
  });
});

describe('what does not answer as pipes does', () => {
  it.each([[200, '<html>'], [404, 'nope'], [200, '{"a":1}']])('%i %s is told as such', async (status, text) => {
    const server = http.createServer((_request, response) => response.writeHead(status).end(text));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { code, err } = await run('ls', { PIPES_URL: `http://localhost:${(server.address() as AddressInfo).port}` });
    expect(code).toBe(1);
    expect(err).toContain('Check PIPES_URL');
    await new Promise((resolve) => server.close(resolve));
  });

  it('nobody at all: how to start it', async () => {
    const server = http.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await run('ls', { PIPES_URL: `http://localhost:${port}` })).toMatchObject({ code: 1, err: expect.stringContaining('pipes serve') as string });
  });
});

describe('pipes plan', () => {
  it('prints what was found and a Dockerfile, and all of it as JSON', async () => {
    const { code, out } = await run('plan test/samples/node-yarn-worker');
    expect(code).toBe(0);
    expect(out).toMatch(/^# nothing asks for a version: Node\.js 22\n(?:# .*\n)+\nFROM node:22-slim\n/);
    expect(out).toContain('# Procfile has worker: node worker.js\n');
    expect(JSON.parse((await run('plan test/samples/node-yarn-worker --json')).out)).toMatchObject({ runtime: 'node', port: 8080, processes: { worker: 'node worker.js' }, dockerfile: expect.stringMatching(/^FROM node:22-slim\n/) as string });
  });

  it.each([
    ['test/samples/nowhere', /cannot be read as a folder \(ENOENT\)/],
    ['docs', /Add a Dockerfile, or one of/],
    ['.', /There is a Dockerfile/],
  ])('refuses %s in one line', async (dir, message) => {
    const { code, out, err } = await run(`plan ${dir}`);
    expect({ code, out, lines: err.trim().split('\n').length }).toEqual({ code: 1, out: '', lines: 1 });
    expect(err).toMatch(message);
  });
});
