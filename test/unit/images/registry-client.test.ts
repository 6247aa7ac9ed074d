import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ImageRef } from '../../../src/images/image-ref.ts';
import { registryUrl } from '../../../src/images/registry-address.ts';
import { RegistryClient } from '../../../src/images/registry-client.ts';
import type { RegistryLogin } from '../../../src/images/registry-logins.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const forever = new AbortController().signal;
const servers: Server[] = [];

/** A server on 127.0.0.1 and what it was asked, with the login of each question. */
async function serve(answer: Answer): Promise<{ host: string; asked: string[]; authorizations: (string | undefined)[] }> {
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      authorizations.push(request.headers.authorization);
      answer(request, response, body);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked, authorizations };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}
function ref(host: string): ImageRef {
  return { registry: host, repository: 'alice/web', tag: 'main' };
}
function login(host: string, more: Partial<RegistryLogin> = {}): RegistryLogin {
  return { registry: host, username: 'alice', password: 'secret', ...more };
}
const BASIC = `Basic ${Buffer.from('alice:secret').toString('base64')}`;

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve)))));
});

describe('RegistryClient', () => {
  it('reads every page, and none on another host', async () => {
    const { host, asked } = await serve((request, response) => {
      const page = /last=(\d)/.exec(request.url ?? '')?.[1] ?? '0';
      const links: Record<string, Record<string, string>> = { '0': { Link: '</v2/alice/web/tags/list?n=2&last=1>; rel="next"' }, '1': { Link: '<http://192.0.2.1/v2/x/tags/list?last=2>; rel="next"' } };
      json(response, 200, { name: 'alice/web', tags: [`tag${page}a`, `tag${page}b`, 7] }, links[page]);
    });
    expect(await new RegistryClient().tags(ref(host), undefined, forever)).toEqual(['tag0a', 'tag0b', 'tag1a', 'tag1b']);
    expect(asked).toHaveLength(2);
  });

  it('takes a repository without tags', async () => {
    const { host } = await serve((_request, response) => json(response, 200, { name: 'alice/web', tags: null }));
    expect(await new RegistryClient().tags(ref(host), undefined, forever)).toEqual([]);
  });

  it('gives a login only when asked, and only that of this registry', async () => {
    const { host, authorizations } = await serve((request, response) => {
      if (request.headers.authorization === BASIC) json(response, 200, { tags: ['a'] });
      else json(response, 401, {}, { 'WWW-Authenticate': 'Basic realm="lab"' });
    });
    expect(await new RegistryClient().tags(ref(host), login(host), forever)).toEqual(['a']);
    expect(authorizations).toEqual([undefined, BASIC]);
    await expect(new RegistryClient().tags(ref(host), login('other.example'), forever)).rejects.toMatchObject({ code: 'registry_denied' });
    expect(authorizations).toEqual([undefined, BASIC, undefined]);
  });

  it('gets a token from the realm, with the login, and uses it for all pages', async () => {
    const tokens = await serve((_request, response) => json(response, 200, { access_token: 'tok' }));
    const { host, authorizations } = await serve((request, response) => {
      if (request.headers.authorization !== 'Bearer tok') return json(response, 401, {}, { 'WWW-Authenticate': `Bearer realm="http://${tokens.host}/token?x=1",service="reg",scope="repository:alice/web:pull"` });
      json(response, 200, { tags: ['a'] }, request.url?.includes('last') ? {} : { Link: '</v2/alice/web/tags/list?last=a>; rel=next' });
    });
    await new RegistryClient().tags(ref(host), login(host), forever);
    expect(authorizations).toEqual([undefined, 'Bearer tok', 'Bearer tok']);
    expect(tokens.asked).toEqual(['GET /token?x=1&service=reg&scope=repository%3Aalice%2Fweb%3Apull']);
    expect(tokens.authorizations).toEqual([BASIC]);
  });

  it('exchanges an identity token', async () => {
    const bodies: string[] = [];
    const tokens = await serve((_request, response, body) => {
      bodies.push(body);
      json(response, 200, { token: 'tok' });
    });
    const { host } = await serve((request, response) => {
      if (request.headers.authorization === 'Bearer tok') json(response, 200, { tags: ['a'] });
      else json(response, 401, {}, { 'WWW-Authenticate': `Bearer realm="http://${tokens.host}/token",service="reg"` });
    });
    await new RegistryClient().tags(ref(host), login(host, { identityToken: 'idt' }), forever);
    expect(tokens.asked).toEqual(['POST /token']);
    expect(Object.fromEntries(new URLSearchParams(bodies[0]))).toEqual({ grant_type: 'refresh_token', client_id: 'pipes', service: 'reg', scope: 'repository:alice/web:pull', refresh_token: 'idt' });
  });

  it('follows no redirect with a login in hand', async () => {
    const other = await serve((_request, response) => json(response, 200, { tags: ['stolen'] }));
    const { host } = await serve((_request, response) => response.writeHead(307, { Location: `http://${other.host}/v2/alice/web/tags/list` }).end());
    await expect(new RegistryClient().tags(ref(host), login(host), forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
    expect(other.asked).toEqual([]);
  });

  it('follows no redirect of where tokens are to be had either', async () => {
    const other = await serve((_request, response) => json(response, 200, { token: 'tok' }));
    const tokens = await serve((_request, response) => response.writeHead(307, { Location: `http://${other.host}/token` }).end());
    const { host } = await serve((_request, response) => json(response, 401, {}, { 'WWW-Authenticate': `Bearer realm="http://${tokens.host}/token",service="reg"` }));
    for (const more of [{}, { identityToken: 'idt' }]) await expect(new RegistryClient().tags(ref(host), login(host, more), forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
    expect(tokens.asked.map((line) => line.split(/[ ?]/, 2).join(' '))).toEqual(['GET /token', 'POST /token']);
    expect(other.asked).toEqual([]);
  });

  it('tells the digest, asking for every kind of manifest', async () => {
    let accepted = '';
    const { host, asked } = await serve((request, response) => {
      accepted = request.headers.accept ?? '';
      response.writeHead(200, { 'Docker-Content-Digest': 'sha256:abc' }).end();
    });
    expect(await new RegistryClient().digest(ref(host), undefined, forever)).toBe('sha256:abc');
    expect(asked).toEqual(['HEAD /v2/alice/web/manifests/main']);
    expect(accepted.split(', ')).toHaveLength(4);
  });

  it.each([
    [404, 'image_not_found'],
    [403, 'registry_denied'],
    [429, 'registry_unavailable'],
    [500, 'registry_unavailable'],
  ])('names an answer of %i %s', async (status, code) => {
    const { host } = await serve((_request, response) => json(response, status, {}));
    await expect(new RegistryClient().tags(ref(host), undefined, forever)).rejects.toMatchObject({ code });
  });

  it('gives up in time on a silent registry, on nonsense, and when its caller leaves', async () => {
    const silent = await serve(() => undefined);
    await expect(new RegistryClient({ timeoutMs: 50 }).tags(ref(silent.host), undefined, forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
    const nonsense = await serve((_request, response) => response.end('<html>'));
    await expect(new RegistryClient().tags(ref(nonsense.host), undefined, forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
    const leaving = new AbortController();
    const asking = new RegistryClient().tags(ref(silent.host), undefined, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(asking).rejects.toThrow('gone');
  });

  it('gives up in time on a compressed answer that is none, for which fetch waits for ever', async () => {
    const { host } = await serve((_request, response) => response.writeHead(294, { 'Content-Encoding': 'gzip' }).end('<'.repeat(3000)));
    await expect(new RegistryClient({ timeoutMs: 100 }).tags(ref(host), undefined, forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
  });

  it('takes for tags and digests only what can be one', async () => {
    const { host } = await serve((_request, response) => json(response, 200, { tags: ['main', '', '../x', 'a b', 'x'.repeat(200), null, '__proto__'] }, { 'Docker-Content-Digest': 'sha256:x y' }));
    expect(await new RegistryClient().tags(ref(host), undefined, forever)).toEqual(['main', '__proto__']);
    await expect(new RegistryClient().digest(ref(host), undefined, forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
  });

  it('does not take in more tags than any repository has', async () => {
    const page = JSON.stringify({ tags: Array.from({ length: 150_000 }, (_, at) => `t${at}`) });
    const { host, asked } = await serve((request, response) => {
      const number = Number(/last=(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
      response.writeHead(200, { Link: `</v2/alice/web/tags/list?last=${number + 1}>; rel="next"` }).end(page.replaceAll(/"t(?=\d)/g, `"t${number}.`));
    });
    await expect(new RegistryClient().tags(ref(host), undefined, forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
    expect(asked).toHaveLength(2);
  });
});

it.each([
  ['127.0.0.1:5000', 'http://127.0.0.1:5000/'],
  ['localhost:5000', 'http://localhost:5000/'],
  ['[::1]:5000', 'http://[::1]:5000/'],
  ['127.0.0.1.example.com', 'https://127.0.0.1.example.com/'],
  ['docker.io', 'https://registry-1.docker.io/'],
  ['10.0.0.1:5000', 'https://10.0.0.1:5000/'],
  ['insecure.example:5000', 'http://insecure.example:5000/'],
])('asks %s at %s', (registry, url) => {
  expect(registryUrl(registry, new Set(['insecure.example:5000'])).href).toBe(url);
});
