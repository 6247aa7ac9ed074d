import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunningApi } from './running-api.ts';

const WEB = '/apps/alice/web/domains';
let api: RunningApi;
let [admin, deploy, read, bob] = ['', '', '', ''];

beforeEach(async () => {
  api = new RunningApi();
  await api.start();
  [admin, deploy, read, bob] = await Promise.all([api.token('admin'), api.token('deploy:alice/*'), api.token('read:alice/*'), api.token('deploy:bob/*')]);
});
afterEach(() => api.stop());

const put = (path: string, token: string, ...domains: unknown[]) => api.ask(path, { method: 'PUT', token, body: { domains } });

describe('/apps/:user/:repo/domains', () => {
  it('begins empty, is replaced as a whole, and comes back in order', async () => {
    expect((await api.ask(WEB, { token: read })).json).toEqual({ domains: [] });
    expect(await put(WEB, deploy, 'www.example.org', 'bücher.localhost', 'shop.localhost')).toMatchObject({ status: 200, json: { domains: ['shop.localhost', 'www.example.org', 'xn--bcher-kva.localhost'] } });
    expect(await put(WEB, deploy, 'shop.localhost')).toMatchObject({ status: 200, json: { domains: ['shop.localhost'] } });
    expect((await api.ask(`/__proxyapi${WEB}`, { token: read })).json).toEqual({ domains: ['shop.localhost'] });
    expect((await put(WEB, deploy)).json).toEqual({ domains: [] });
  });

  it('takes _ for library, as everywhere', async () => {
    await put('/apps/_/nginx/domains', admin, 'n.localhost');
    expect((await api.ask('/apps/library/nginx/domains', { token: admin })).json).toEqual({ domains: ['n.localhost'] });
  });

  it('names every fault', async () => {
    const answer = await put(WEB, deploy, 'ok.localhost', '*.localhost', 'A.localhost', '127.0.0.1', 'ok.localhost', 'a.localhost.', 'xn--bcher-kva.example', 'bücher.example');
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
    expect(answer.faultPaths).toEqual(['domains[1]', 'domains[2]', 'domains[3]', 'domains[4]', 'domains[5]', 'domains[7]']);
  });

  it.each([
    [{ domains: Array.from({ length: 101 }, (_, index) => `d${index}.localhost`) }, ['domains']],
    [{ domains: [1, null] }, ['domains[0]', 'domains[1]']],
    [{ domains: 'www.example.org' }, ['domains']],
    [{}, ['domains']],
    [{ domains: [], domain: 'x' }, ['domain']],
    [[], ['']],
  ])('refuses %j', async (body, faultPaths) => {
    expect(await api.ask(WEB, { method: 'PUT', token: deploy, body })).toMatchObject({ status: 400, faultPaths });
  });

  it('takes a hundred', async () => {
    expect((await put(WEB, deploy, ...Array.from({ length: 100 }, (_, index) => `d${index}.localhost`))).status).toBe(200);
  });

  it("refuses pipes' own hosts, and others' names", async () => {
    expect(await put(WEB, admin, 'localhost')).toMatchObject({ status: 403, json: { code: 'domain_forbidden' }, faultPaths: ['domains[0]'] });
    expect(await put(WEB, deploy, 'web.bob.localhost')).toMatchObject({ status: 403, json: { code: 'domain_forbidden' } });
    expect((await put('/apps/bob/web/domains', bob, 'shop.localhost')).status).toBe(200);
    const taken = await put(WEB, deploy, 'shop.localhost');
    expect(taken).toMatchObject({ status: 409, json: { code: 'domain_taken' }, faultPaths: ['domains[0]'] });
    expect(taken.text).not.toContain('bob');
    expect((await api.ask('/apps/bob/web/domains', { token: bob })).json).toEqual({ domains: ['shop.localhost'] });
  });

  it.each([
    ['GET', WEB, '', 401],
    ['PUT', WEB, '', 401],
    ['PUT', WEB, 'read', 403],
    ['GET', WEB, 'bob', 403],
    ['PUT', WEB, 'bob', 403],
    ['GET', '/apps/Alice/web/domains', '', 401],
    ['GET', '/apps/Alice/web/domains', 'read', 404],
    ['GET', '/apps/alice/web%2Fx/domains', 'read', 404],
    ['DELETE', WEB, 'deploy', 405],
  ])('%s %s with the token "%s" is %i', async (method, path, who, status) => {
    const token = { read, deploy, bob }[who];
    expect((await api.ask(path, { method, ...(token === undefined ? {} : { token }), ...(method === 'PUT' ? { body: { domains: ['a.localhost'] } } : {}) })).status).toBe(status);
    expect((await api.ask(WEB, { token: read })).json).toEqual({ domains: [] });
  });
});
