import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { freshConfigDir, startPipes, type PipesProcess } from '../lab/pipes-process.ts';

/** Host names bound to repositories, through the real door: two users with tokens of their own, one host name. */
const program = fileURLToPath(new URL('../../bin/pipes.js', import.meta.url));
const [alice, bob] = [new Apps('domains-alice'), new Apps('domains-bob')];
const containers = new EngineContainers(useLab().dockerHost);
const configDir = freshConfigDir();
/** Nobody else's, also on a shared machine: it goes to no DNS, only into the Host header. */
const shop = `shop.${alice.user}.example.org`;
const own = `${alice.user}.localhost`;
let pipes: PipesProcess;
let web: App;
let other: App;
let tokens: { readonly alice: string; readonly bob: string };

beforeAll(async () => {
  [web, other] = await Promise.all([alice.build('web', {}, 'latest'), bob.build('web', {}, 'latest')]);
  await start();
  tokens = { alice: await newToken('alice', `deploy:${alice.user}/*`), bob: await newToken('bob', `deploy:${bob.user}/*`) };
}, 120_000);

afterAll(async () => {
  await pipes.stop();
  for (const { reference } of [web, other]) for (const id of await containers.of(reference)) await containers.remove(id);
});

/** With a base, so that every other domain is a foreign one; on the same directory each time. */
async function start(port?: number): Promise<void> {
  pipes = await startPipes({ configDir, env: { DOMAIN: 'example.com', ALLOW: `${alice.user}/*,${bob.user}/*` }, ...(port === undefined ? {} : { port }) });
}

async function newToken(name: string, scope: string): Promise<string> {
  const answer = await request(pipes.port, { host: 'localhost', path: '/tokens', token: pipes.token, body: { name, scopes: [scope] } });
  return answer.json<{ token: string }>().token;
}

const visit = (host: string, path = '/') => request(pipes.port, { host, path });
const put = (app: App, token: string, ...domains: string[]): Promise<Answer> => request(pipes.port, { host: 'localhost', path: `/apps/${repositoryOf(app)}/domains`, method: 'PUT', token, body: { domains } });
const repositoryOf = (app: App): string => app.reference.replace(/:.*$/, '');

describe('a host name of its own', () => {
  it('means nothing before, and the app from the moment that it is bound', async () => {
    expect((await visit(shop)).json()).toMatchObject({ status: 404, code: 'host_unknown' });
    expect(await put(web, tokens.alice, shop, own)).toMatchObject({ status: 200 });
    expect((await visit(shop)).text).toBe(greeting(web));
    expect((await visit(own)).text).toBe(greeting(web));
    expect((await visit(`${shop.toUpperCase()}.:80`)).text).toBe(greeting(web));
    // The same container as by the host of its name, which stays.
    expect((await visit(web.host)).text).toBe(greeting(web));
    expect(await containers.of(web.reference)).toHaveLength(1);
  });

  it('has the API of the target, for who may deploy it', async () => {
    const ask = async (token: string) => await request(pipes.port, { host: shop, path: '/__proxyapi/container', token });
    expect((await ask(tokens.alice)).json()).toMatchObject({ reference: web.reference, state: 'running' });
    expect((await ask(tokens.bob)).status).toBe(403);
  });

  it("is never another's", async () => {
    const taken = await put(other, tokens.bob, shop);
    expect(taken.json()).toMatchObject({ status: 409, code: 'domain_taken' });
    expect(taken.text).not.toContain(alice.user.replace(/-[0-9a-f]+$/, '/'));
    expect(taken.text).not.toContain(repositoryOf(web));
    expect((await put(web, tokens.bob)).status).toBe(403);
    expect((await put(other, tokens.bob, web.host)).json()).toMatchObject({ status: 403, code: 'domain_forbidden' });
    for (const host of ['localhost', 'example.com', 'pipes.example.com', 'one']) expect((await put(other, pipes.token, host)).json()).toMatchObject({ status: 403, code: 'domain_forbidden' });
    expect((await visit(shop)).text).toBe(greeting(web));
  });

  it('of two who want it at once, one has it', async () => {
    const rush = `rush.${bob.user}.example.org`;
    const ends = await Promise.all(Array.from({ length: 10 }, async (_, index) => (index % 2 === 0 ? (await put(web, tokens.alice, shop, own, rush)).status : (await put(other, tokens.bob, rush)).status)));
    expect(new Set([ends[0], ends[1]])).toEqual(new Set([200, 409]));
    const [first, second] = [ends.filter((_, index) => index % 2 === 0), ends.filter((_, index) => index % 2 === 1)];
    // The same to each of the same side: nobody's list changed hands in between.
    expect([new Set(first).size, new Set(second).size]).toEqual([1, 1]);
    expect((await visit(rush)).text).toBe(greeting(ends[0] === 200 ? web : other));
    expect((await put(web, pipes.token, shop, own)).status).toBe(200);
    expect((await put(other, pipes.token)).status).toBe(200);
  });

  it('stays over a stop, and over a kill right after the answer', async () => {
    await pipes.stop();
    await start(pipes.port);
    expect((await visit(shop)).text).toBe(greeting(web));
    for (let round = 0; round < 2; round += 1) {
      const fresh = `kill-${round}.${alice.user}.example.org`;
      expect((await put(web, tokens.alice, shop, own, fresh)).status).toBe(200);
      await pipes.kill();
      await start(pipes.port);
      expect((await visit(fresh)).text).toBe(greeting(web));
      expect((await put(other, tokens.bob, fresh)).status).toBe(409);
    }
  });

  it('changes hands from one request to the next, also of who visits all the time', async () => {
    expect((await visit(other.host)).text).toBe(greeting(other));
    expect((await put(web, tokens.alice, own)).status).toBe(200);
    expect((await visit(shop)).json()).toMatchObject({ code: 'host_unknown' });
    expect((await put(other, tokens.bob, shop)).status).toBe(200);
    expect((await visit(shop)).text).toBe(greeting(other));
  });

  it('is at hand on the command line', async () => {
    const run = async (...args: string[]) => (await promisify(execFile)(process.execPath, [program, 'domains', repositoryOf(web), ...args], { cwd: join(configDir, '..'), env: { PATH: process.env['PATH'], PIPES_URL: `http://localhost:${pipes.port}`, PIPES_TOKEN: tokens.alice } })).stdout;
    const more = `more.${alice.user}.example.org`;
    expect(await run('add', more)).toBe([own, more].sort().map((line) => `${line}\n`).join(''));
    expect((await visit(more)).text).toBe(greeting(web));
    expect(await run('rm', more)).toBe(`${own}\n`);
    await expect(run('add', shop)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('domain_taken') as string });
  });

  it('is no way around DENY', async () => {
    await pipes.stop();
    pipes = await startPipes({ configDir, port: pipes.port, env: { DOMAIN: 'example.com', DENY: bob.user } });
    expect((await visit(own)).text).toBe(greeting(web));
    for (const id of await containers.of(other.reference)) await containers.remove(id);
    expect((await visit(shop)).json()).toMatchObject({ status: 403, code: 'image_forbidden' });
  });
});
