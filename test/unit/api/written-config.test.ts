import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PASSWORD_HASH } from '../../../src/security/proxy/access.ts';
import { differInAccessAlone } from '../../../src/api/written-config.ts';
import { RunningApi, type Answer } from './running-api.ts';

const WEB = 'alice/web:main';
const PASSWORD = 'down the rabbit hole';

let api: RunningApi;
let deploy: string;
let read: string;
let admin: string;
beforeEach(async () => {
  api = new RunningApi();
  await api.start();
  [deploy, read, admin] = [await api.token('deploy:alice/*'), await api.token('read:alice/*'), await api.token('admin')];
});
afterEach(() => api.stop());

const put = (body: unknown, path = 'container/config', token = deploy): Promise<Answer> => api.ask(`/__proxyapi/${path}`, { on: WEB, token, method: 'PUT', body });
const get = (path: string, token = admin): Promise<Answer> => api.ask(`/__proxyapi/${path}`, { on: WEB, token });

describe('a password that is written', () => {
  it.each(['container', 'repository'] as const)('of a %s is kept as its hash, shown to nobody, and stays where it comes back masked', async (level) => {
    const path = `${level}/config`;
    const stored = (): { basic: Record<string, string> } => (level === 'container' ? api.store.containers.get(WEB) : api.store.repositories.get('alice/web'))!.access as never;
    const written = await put({ port: 81, access: { basic: { alice: PASSWORD } } }, path);
    expect(written.status).toBe(200);
    const hash = stored().basic['alice']!;
    expect(hash).toMatch(PASSWORD_HASH);
    for (const token of [read, deploy, admin]) {
      for (const seen of [written, await get(path, token), await get('container', token), await api.ask('/containers', { token })]) {
        expect(seen.status).toBe(200);
        expect(seen.text).not.toContain(PASSWORD);
        expect(seen.text).not.toContain('$scrypt$');
      }
    }
    const masked = (await get(path)).json!;
    expect(masked).toEqual({ port: 81, access: { basic: { alice: '***' } } });
    expect((await put({ ...masked, port: 82 }, path)).status).toBe(200);
    expect(stored().basic).toEqual({ alice: hash });
    expect((await put({ access: { basic: { alice: '***', bob: hash, carol: 'another password' } } }, path)).status).toBe(200);
    expect(stored().basic).toMatchObject({ alice: hash, bob: hash, carol: expect.stringMatching(PASSWORD_HASH) as string });
  });

  it('cannot be kept where there is none, and no fault repeats one', async () => {
    const answer = await put({ access: { basic: { alice: '***' } } });
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
    expect(answer.faultPaths).toEqual(['access.basic.alice']);
    for (const password of ['secret1', 'secret1\n and more', '$2y$05$secret1secret1secret1']) {
      const refused = await put({ access: { basic: { alice: password } } });
      expect(refused.status).toBe(400);
      expect(refused.text).not.toContain('secret1');
    }
    expect([api.store.containers.size, JSON.stringify(api.logged)]).toEqual([0, '[]']);
  });
});

describe('a change of access', () => {
  it('replaces no container, and holds for one that somebody started by hand', async () => {
    await put({ port: 81 });
    api.control.instances.set(WEB, { state: 'running', managed: false });
    api.control.calls.length = 0;
    expect((await put({ port: 81, access: 'token' })).status).toBe(200);
    expect((await put({ port: 81, access: { basic: { alice: PASSWORD } } })).status).toBe(200);
    expect((await put({ port: 81 })).status).toBe(200);
    expect(api.control.calls).toEqual([]);
    expect(await put({ port: 82 })).toMatchObject({ status: 409, json: { code: 'not_managed' } });
    api.control.instances.set(WEB, { state: 'running' });
    expect((await put({ port: 82, access: 'token' })).status).toBe(200);
    expect(api.control.calls).toEqual([`reconfigure ${WEB}`]);
  });

  it('to an address that pipes is to ask needs an administrator', async () => {
    const access = { forward: { url: 'http://169.254.169.254/latest/' } };
    for (const path of ['container/config', 'repository/config']) {
      expect(await put({ access }, path)).toMatchObject({ status: 403, json: { code: 'forbidden' }, faultPaths: ['access.forward'] });
      expect((await put({ access }, path, admin)).status).toBe(200);
      // Who changes something else sends it back as it is.
      expect((await put({ access, port: 81 }, path)).status).toBe(200);
      expect((await put({ access: { forward: { ...access.forward, headers: ['X-User'] } } }, path)).status).toBe(403);
      expect((await put({ access: 'public' }, path)).status).toBe(200);
    }
  });

  it('does not bring back what an administrator took away while its passwords were hashed', async () => {
    expect((await put({ volumes: ['/srv:/srv'] }, 'container/config', admin)).status).toBe(200);
    const passwords = Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`visitor-${at}`, `${PASSWORD} ${at}`]));
    const slow = put({ volumes: ['/srv:/srv'], access: { basic: passwords } });
    expect((await put({}, 'container/config', admin)).status).toBe(200);
    expect(await slow).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    expect(api.store.containers.get(WEB)).toEqual({});
  });

  it('is told apart from every other change', () => {
    expect(differInAccessAlone(undefined, { access: 'token' })).toBe(true);
    expect(differInAccessAlone({ access: 'token', env: { A: 'b' } }, { env: { A: 'b' } })).toBe(true);
    expect(differInAccessAlone({ access: 'token' }, { access: 'token' })).toBe(false);
    expect(differInAccessAlone({ access: 'token' }, { access: 'public', port: 80 })).toBe(false);
  });
});
