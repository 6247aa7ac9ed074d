import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunningApi } from './running-api.ts';

const SECRET = 'a secret of webhooks';
const PATH = '/webhooks/registry';
const event = (action: string, target: object): object => ({ id: 'x', action, target, request: { host: 'registry.example.com' }, actor: {} });
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const pushOf = (repository: string, tag: string): object => ({ events: [event('push', { mediaType: MANIFEST, repository, tag, digest: 'sha256:1', size: 1 })] });
const container = (more: object = {}): object => ({ name: 'Web', namespace: 'Alice', package_type: 'CONTAINER', package_version: { container_metadata: { tag: { name: 'main', digest: 'sha256:1' } } }, ...more });

let api: RunningApi;
beforeEach(async () => {
  api = new RunningApi({ webhookSecret: SECRET });
  await api.start();
  api.uses.running.push('alice/web:main', 'bob/web:main');
  api.uses.asleep.push('alice/api:main');
});
afterEach(() => api.stop());

const tell = (body: unknown, secret = SECRET) => api.ask(`${PATH}?secret=${encodeURIComponent(secret)}`, { method: 'POST', body });

describe('a notification', () => {
  it("of Docker's registry moves the tags whose manifests were pushed, each once; pulls and layers do not count", async () => {
    const answer = await tell({
      events: [
        event('push', { mediaType: MANIFEST, repository: 'alice/web', tag: 'main' }),
        event('push', { mediaType: 'application/vnd.oci.image.index.v1+json', repository: 'alice/web', tag: 'main' }),
        event('push', { mediaType: MANIFEST, repository: 'alice/api', tag: 'main' }),
        event('pull', { mediaType: MANIFEST, repository: 'bob/web', tag: 'main' }),
        event('push', { mediaType: 'application/octet-stream', repository: 'bob/web' }),
        event('push', { mediaType: MANIFEST, repository: 'bob/web', digest: 'sha256:1' }),
        event('delete', { repository: 'bob/web', tag: 'main' }),
        event('mount', {}),
      ],
    });
    expect([answer.status, answer.json]).toEqual([202, { refreshing: ['alice/web:main'], atNextWake: ['alice/api:main'], ignored: 5 }]);
    expect(api.pushed).toEqual(['alice/web:main', 'alice/api:main']);
  });

  it('of Docker Hub moves its tag; official images have the user that hosts give them', async () => {
    const hub = (name: string) => tell({ callback_url: 'https://registry.hub.docker.com/u/x', push_data: { tag: 'main', pusher: 'alice' }, repository: { repo_name: name, status: 'Active' } });
    expect((await hub('alice/web')).json).toEqual({ refreshing: ['alice/web:main'], atNextWake: [], ignored: 0 });
    await hub('nginx');
    expect(api.pushed).toEqual(['alice/web:main', 'library/nginx:main']);
  });

  it('of GitHub moves its tag, in both forms; other packages, other actions and versions without a tag do not count', async () => {
    expect((await tell({ action: 'published', registry_package: container() })).json).toEqual({ refreshing: ['alice/web:main'], atNextWake: [], ignored: 0 });
    await tell({ action: 'updated', package: container({ namespace: undefined, owner: { login: 'Bob' } }) });
    expect(api.pushed).toEqual(['alice/web:main', 'bob/web:main']);
    for (const body of [
      { action: 'published', package: container({ package_type: 'npm' }) },
      { action: 'deleted', package: container() },
      { action: 'published', package: container({ package_version: { container_metadata: { tag: { name: '' } } } }) },
      { action: 'published', package: container({ package_version: null }) },
      { zen: 'Design for failure.', hook_id: 1 },
    ]) {
      const answer = await tell(body);
      expect([answer.status, answer.json]).toEqual([202, { refreshing: [], atNextWake: [], ignored: 1 }]);
    }
    expect(api.pushed).toHaveLength(2);
  });

  it.each([[{}], [{ events: 'many' }], [[]], ['text'], [null], [{ action: 'opened', issue: {} }], [{ push_data: { tag: 'x' } }]])('of another kind (%j) is refused, with what is supported', async (body) => {
    const answer = await tell(JSON.stringify(body));
    expect([answer.status, answer.json?.['code']]).toEqual([400, 'invalid_request']);
    expect(answer.text).toMatch(/Docker Hub .*GitHub/);
  });

  it('over 1 MB is refused', async () => {
    const answer = await tell({ events: [], filling: 'x'.repeat(1024 * 1024) });
    expect([answer.status, answer.json?.['code']]).toEqual([413, 'body_too_large']);
  });

  it('is taken below /__proxyapi too', async () => {
    const answer = await api.ask(`/__proxyapi${PATH}?secret=${encodeURIComponent(SECRET)}`, { method: 'POST', body: pushOf('alice/web', 'main') });
    expect([answer.status, api.pushed]).toEqual([202, ['alice/web:main']]);
  });
});

describe('who tells', () => {
  const BODY = JSON.stringify(pushOf('alice/web', 'main'));
  const post = (headers: Record<string, string> = {}, query = '') => api.ask(`${PATH}${query}`, { method: 'POST', headers, body: BODY });
  const sign = (body: string, secret = SECRET) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

  it('may show the secret as Bearer, in the query, or by a signature of the body', async () => {
    for (const [headers, query] of [
      [{ authorization: `Bearer ${SECRET}` }, ''],
      [{}, `?secret=${encodeURIComponent(SECRET)}`],
      [{ 'x-hub-signature-256': sign(BODY) }, ''],
    ] as const) {
      const answer = await post(headers, query);
      expect([answer.status, answer.json?.['refreshing']]).toEqual([202, ['alice/web:main']]);
    }
  });

  it('may show a token in either place, and reaches as far as its deploy scopes', async () => {
    const [alice, bob, read] = await Promise.all([api.token('deploy:alice'), api.token('deploy:bob'), api.token('read:*')]);
    expect((await post({ authorization: `Bearer ${alice}` })).json?.['refreshing']).toEqual(['alice/web:main']);
    expect((await post({}, `?secret=${alice}`)).json?.['refreshing']).toEqual(['alice/web:main']);
    expect((await post({ authorization: `Bearer ${bob}` })).json?.['refreshing']).toEqual([]);
    expect((await post({ authorization: `Bearer ${read}` })).status).toBe(403);
  });

  it('is sent away without, and with a wrong one', async () => {
    const wrong = [
      await post(),
      await post({}, '?secret='),
      await post({}, '?secret=wrong'),
      await post({}, `?secret=${encodeURIComponent(SECRET)}&secret=x`),
      await post({ authorization: 'Bearer wrong' }),
      await post({ 'x-hub-signature-256': sign(BODY, 'wrong') }),
      await post({ 'x-hub-signature-256': sign(`${BODY} `) }),
      await post({ 'x-hub-signature-256': 'sha256=zz' }),
      await post({ 'x-hub-signature-256': sign(BODY).replace('sha256', 'sha1') }),
    ];
    expect(wrong.map(({ status }) => status)).toEqual(wrong.map(() => 401));
    expect(api.pushed).toEqual([]);
  });

  it('cannot go on guessing', async () => {
    for (let at = 0; at < 12; at += 1) await post({}, '?secret=wrong');
    expect((await post({}, '?secret=wrong')).status).toBe(429);
    expect((await post({}, `?secret=${encodeURIComponent(SECRET)}`)).status).toBe(202);
  });

  it('has no secret to show where none is set', async () => {
    const other = new RunningApi();
    await other.start();
    for (const ask of [{ headers: { 'x-hub-signature-256': sign(BODY, '') } }, { headers: { authorization: 'Bearer undefined' } }, {}]) {
      expect((await other.ask(PATH, { method: 'POST', body: BODY, ...ask })).status).toBe(401);
    }
    await other.stop();
  });
});
