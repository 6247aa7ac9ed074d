import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import { RunningApi } from './running-api.ts';

const WEB = 'alice/web:main';
let api: RunningApi;
let deploy: string;
let read: string;
let admin: string;

beforeEach(async () => {
  api = new RunningApi();
  await api.start();
  [admin, deploy, read] = await Promise.all([api.token('admin'), api.token('deploy:alice'), api.token('read:alice')]);
});
afterEach(() => api.stop());

describe('the state of a target', () => {
  it('is the document of INTERFACE 4, whole', async () => {
    api.control.instances.set(WEB, { state: 'running', containerId: 'c1', digest: 'sha256:1', startedAt: new Date(0), lastUsedAt: new Date(1000), inFlight: 2, upstream: { host: '172.18.0.2', port: 80 }, lastWake: { from: 'stopped', pullMs: 0, createMs: 0, startMs: 220.12345, readyMs: 3.01, totalMs: 224.56 } });
    api.store.containers.set(WEB, { port: 80 });
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: read });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json).toEqual({
      reference: WEB, image: 'docker.io/alice/web:main', digest: 'sha256:1', state: 'running', containerId: 'c1', managed: true,
      startedAt: '1970-01-01T00:00:00.000Z', lastUsedAt: '1970-01-01T00:00:01.000Z', inFlight: 2,
      upstream: { host: '172.18.0.2', port: 80 }, error: null, lastWake: { from: 'stopped', pullMs: 0, createMs: 0, startMs: 220.1, readyMs: 3, totalMs: 224.6 }, config: { port: 80 },
    });
  });

  it('is absent with nulls and an empty configuration when there is nothing', async () => {
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: read });
    expect(answer.json).toMatchObject({ state: 'absent', containerId: null, digest: null, upstream: null, error: null, config: {} });
  });

  it('carries the last error as a problem document with its lines', async () => {
    api.control.instances.set(WEB, { state: 'failed', error: new PipesError('instance_failed', 'It exited.', { privateDetail: ['boom'], members: { exitCode: 3 } }) });
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: read });
    expect(answer.json?.['error']).toMatchObject({ type: 'about:blank', status: 502, code: 'instance_failed', exitCode: 3, lines: ['boom'] });
  });

  it('is that of the tag that differs by case alone', async () => {
    api.control.instances.set('alice/web:Main', { state: 'running' });
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: read });
    expect(answer.json).toMatchObject({ reference: 'alice/web:Main', state: 'running' });
  });

  it('answers HEAD as GET, without a body', async () => {
    const [get, head] = await Promise.all([api.ask('/__proxyapi/container', { on: WEB, token: read }), api.ask('/__proxyapi/container', { on: WEB, token: read, method: 'HEAD' })]);
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
  });
});

describe('start, stop, restart, remove', () => {
  it.each([
    ['POST', 'container/start', 'start', 'running'],
    ['POST', 'container/stop', 'stop', 'stopped'],
    ['GET', 'container/stop', 'stop', 'stopped'],
    ['POST', 'container/restart', 'restart', 'running'],
    ['DELETE', 'container', 'remove', 'absent'],
  ])('%s ./%s answers 200 with the state once done', async (method, path, call, state) => {
    api.control.instances.set(WEB, { state: 'paused' });
    const answer = await api.ask(`/__proxyapi/${path}`, { on: WEB, token: deploy, method });
    expect(answer).toMatchObject({ status: 200, json: { state } });
    expect(api.control.calls).toEqual([`${call} ${WEB}`]);
  });

  it('answers 202 at once with ?wait=false, and logs a failure that comes later', async () => {
    const { promise, reject } = gate();
    api.control.next = () => promise;
    const answer = await api.ask('/__proxyapi/container/start?wait=false', { on: WEB, token: deploy, method: 'POST' });
    expect(answer).toMatchObject({ status: 202, json: { state: 'absent' } });
    reject(new PipesError('image_not_found', 'No such image.'));
    await api.api.settled();
    expect(api.logged).toEqual([expect.objectContaining({ reference: WEB, code: 'image_not_found' })]);
  });

  it('refuses a flag that is neither true nor false, and does nothing', async () => {
    const answer = await api.ask('/__proxyapi/container/start?wait=maybe', { on: WEB, token: deploy, method: 'POST' });
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request', faults: [{ path: '?wait' }] } });
    expect(api.control.calls).toEqual([]);
  });

  it('draws failures as problem documents with the private lines', async () => {
    api.control.next = () => Promise.reject(new PipesError('instance_not_ready', 'Not ready.', { privateDetail: ['line'] }));
    const answer = await api.ask('/__proxyapi/container/start', { on: WEB, token: deploy, method: 'POST' });
    expect(answer.status).toBe(504);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json).toEqual({ type: 'about:blank', title: 'The container did not get ready', status: 504, detail: 'Not ready.', code: 'instance_not_ready', lines: ['line'] });
  });

  it('hides what went wrong inside, and logs it once', async () => {
    api.control.next = () => Promise.reject(new Error('secret detail'));
    const answer = await api.ask('/__proxyapi/container/start', { on: WEB, token: deploy, method: 'POST' });
    expect(answer).toMatchObject({ status: 500, json: { code: 'internal' } });
    expect(answer.text).not.toContain('secret detail');
    expect(api.logged).toHaveLength(1);
  });

  it('goes on when the client leaves, and serves the next one', async () => {
    const { promise, resolve } = gate();
    api.control.next = () => promise;
    const socket = connect(api.port, '127.0.0.1');
    const called = new Promise((done) => api.server.once('request', done));
    socket.write(`POST /__proxyapi/container/start HTTP/1.1\r\nHost: x\r\nX-Test-Target: ${WEB}\r\nAuthorization: Bearer ${deploy}\r\n\r\n`);
    await called;
    const closed = new Promise((done) => api.server.once('connection', (one) => one.once('close', done)));
    socket.destroy();
    resolve();
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: read });
    expect(answer.json).toMatchObject({ state: 'running' });
    await closed;
    expect(api.logged).toEqual([]);
  });
});

describe('configuration', () => {
  const put = (body: unknown, more: object = {}, path = 'container/config') => api.ask(`/__proxyapi/${path}`, { on: WEB, token: deploy, method: 'PUT', body, ...more });

  it('is stored, then the container replaced, and comes back as it was written', async () => {
    const config = { port: 8080, env: { A: 'b' }, volumes: ['data:/data'], memory: '256m' };
    expect(await put(config)).toMatchObject({ status: 200, json: { reference: WEB, config } });
    expect(api.control.calls).toEqual([`reconfigure ${WEB}`]);
    expect((await api.ask('/__proxyapi/container/config', { on: WEB, token: deploy })).json).toEqual(config);
  });

  it('is {} where none was written', async () => {
    expect((await api.ask('/__proxyapi/container/config', { on: WEB, token: read })).json).toEqual({});
    expect((await api.ask('/__proxyapi/repository/config', { on: WEB, token: read })).json).toEqual({});
  });

  it('hides environment values from readers, everywhere', async () => {
    api.store.containers.set(WEB, { env: { SECRET: 'x1x' } });
    api.store.repositories.set('alice/web', { env: { SECRET: 'x1x' } });
    api.control.instances.set(WEB, { state: 'running' });
    for (const path of ['container', 'container/config', 'repository/config']) {
      const seen = await api.ask(`/__proxyapi/${path}`, { on: WEB, token: read });
      expect(seen.text).toContain('SECRET');
      expect(seen.text).not.toContain('x1x');
      expect((await api.ask(`/__proxyapi/${path}`, { on: WEB, token: deploy })).text).toContain('x1x');
    }
    expect((await api.ask('/containers', { token: read })).text).not.toContain('x1x');
  });

  it('names every fault', async () => {
    const answer = await put({ port: 0, prot: 80, nope: 1, memory: 'big', readiness: { path: 'x', speed: 1 }, volumes: ['data:/ok', 'bad'], env: { 'A=B': 'c', D: 5 } });
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
    expect(answer.faultPaths).toEqual(['env.A=B', 'env.D', 'memory', 'nope', 'port', 'prot', 'readiness.path', 'readiness.speed', 'volumes[1]']);
    expect(api.control.calls).toEqual([]);
    expect(api.store.containers.size).toBe(0);
  });

  it.each([['nothing', ''], ['no JSON', '{"port":'], ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])], ['no object', '[]'], ['null', 'null']])('refuses %s', async (_what, body) => {
    const answer = await put(body);
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request', faults: [{ path: '' }] } });
  });

  it('does not mind the content type', async () => {
    expect((await put({ port: 1 }, { headers: { 'content-type': 'text/plain' } })).status).toBe(200);
  });

  it('answers a container that does not get ready with 502 and its code; the configuration stays', async () => {
    api.control.next = () => Promise.reject(new PipesError('instance_not_ready', 'Not ready.'));
    const answer = await put({ port: 81 });
    expect(answer).toMatchObject({ status: 502, json: { status: 502, code: 'instance_not_ready' } });
    expect(api.store.containers.get(WEB)).toEqual({ port: 81 });
  });

  it('is not written over a container that someone started by hand', async () => {
    api.control.instances.set(WEB, { state: 'running', managed: false });
    expect(await put({ port: 81 })).toMatchObject({ status: 409, json: { code: 'not_managed' } });
    expect(api.store.containers.size).toBe(0);
  });

  it('needs an administrator where it reaches further; every such part is named', async () => {
    const far = { volumes: ['/etc:/etc', 'external:other:/x', 'own:/y'], labels: { a: 'b' }, image: 'bob/web' };
    const answer = await put(far);
    expect(answer).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    expect(answer.faultPaths).toEqual(['image', 'labels.a', 'volumes[0]', 'volumes[1]']);
    expect((await put(far, { token: admin })).status).toBe(200);
    expect((await put({ ...far, env: { A: 'b' } })).status).toBe(200);
  });

  it('of a repository is stored alone, and taken at once by its instances with ?restart=true', async () => {
    api.control.instances.set(WEB, { state: 'running' }).set('alice/web:b', { state: 'stopped' }).set('alice/other:main', { state: 'running' });
    expect(await put({ cpus: 2 }, {}, 'repository/config')).toMatchObject({ status: 200, json: { reference: WEB } });
    expect(api.control.calls).toEqual([]);
    await put({ cpus: 3 }, {}, 'repository/config?restart=true');
    expect(api.control.calls).toEqual([`reconfigure ${WEB}`, 'reconfigure alice/web:b']);
    expect(api.store.repositories.get('alice/web')).toEqual({ cpus: 3 });
  });

  it('of a repository names the instances that did not take it', async () => {
    api.control.instances.set(WEB, { state: 'running' }).set('alice/web:b', { state: 'running' });
    api.control.next = () => Promise.reject(new PipesError('instance_failed', 'It exited.'));
    const answer = await put({ cpus: 3 }, {}, 'repository/config?restart=true');
    expect(answer).toMatchObject({ status: 502, json: { code: 'instance_failed', failed: [{ reference: WEB, code: 'instance_failed' }] } });
  });
});

describe('bodies that are too large or never whole', () => {
  it('are 413 by their length alone', async () => {
    const answer = await api.ask('/__proxyapi/container/config', { on: WEB, token: deploy, method: 'PUT', body: Buffer.alloc(1024 * 1024 + 1, ' ') });
    expect(answer).toMatchObject({ status: 413, json: { code: 'body_too_large' } });
  });

  it('are 413 when they come in chunks, and 1 MB is none', async () => {
    const chunked = { 'transfer-encoding': 'chunked' };
    const tooLarge = await api.ask('/__proxyapi/container/config', { on: WEB, token: deploy, method: 'PUT', headers: chunked, body: Buffer.alloc(3_000_000, ' ') });
    expect(tooLarge.status).toBe(413);
    const body = `{"port":80}${' '.repeat(1024 * 1024 - 11)}`;
    expect((await api.ask('/__proxyapi/container/config', { on: WEB, token: deploy, method: 'PUT', headers: chunked, body })).status).toBe(200);
  });

  it('are refused before they are sent by a client that asks first, and are called for otherwise', async () => {
    const ask = async (token: string, body: string, announcedBytes: number): Promise<string> => {
      const socket = connect(api.port, '127.0.0.1');
      let answer = '';
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString();
        if (answer === 'HTTP/1.1 100 Continue\r\n\r\n') socket.end(body);
      });
      const head = [`PUT /__proxyapi/container/config HTTP/1.1`, 'Host: x', `X-Test-Target: ${WEB}`, `Authorization: Bearer ${token}`, 'Expect: 100-continue', `Content-Length: ${announcedBytes}`];
      socket.write(`${head.join('\r\n')}\r\n\r\n`);
      await closed;
      return answer;
    };
    expect(await ask(deploy, '{"port":80}', 11)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(await ask(deploy, '', 2_000_000)).toMatch(/^HTTP\/1\.1 413 /);
    expect(await ask('pipes_wrong', '', 11)).toMatch(/^HTTP\/1\.1 401 /);
  });

  it('cut off a client that never stops sending', async () => {
    const socket = connect(api.port, '127.0.0.1');
    socket.on('error', () => undefined);
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(`PUT /__proxyapi/container/config HTTP/1.1\r\nHost: x\r\nX-Test-Target: ${WEB}\r\nAuthorization: Bearer ${deploy}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `${(65536).toString(16)}\r\n${' '.repeat(65536)}\r\n`;
    const send = (): void => {
      if (socket.writable) socket.write(chunk, () => setImmediate(send));
    };
    send();
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('end at a deadline when less comes than was announced', async () => {
    const slow = new RunningApi({ bodyTimeoutMs: 50 });
    await slow.start();
    const token = await slow.token('admin');
    const socket = connect(slow.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(`PUT /__proxyapi/container/config HTTP/1.1\r\nHost: x\r\nX-Test-Target: ${WEB}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n{"port"`);
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('request_timeout');
    await slow.stop();
  });

  it('are waited for where the deadline is off', async () => {
    const patient = new RunningApi({ bodyTimeoutMs: Infinity, isOpen: true });
    await patient.start();
    const socket = connect(patient.port, '127.0.0.1');
    let answer = '';
    const answered = new Promise<void>((resolve) => socket.once('data', (chunk: Buffer) => {
      answer = chunk.toString();
      resolve();
    }));
    const called = new Promise((done) => patient.server.once('request', done));
    socket.write(`PUT /__proxyapi/container/config HTTP/1.1\r\nHost: x\r\nX-Test-Target: ${WEB}\r\nContent-Length: 11\r\n\r\n{"port"`);
    await called;
    // A timer that went off at once would have answered before this second request is through.
    expect((await patient.ask('/health')).status).toBe(200);
    socket.write(':80}');
    await answered;
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    await patient.stop();
  });

  it('cost nothing when the client leaves in the middle', async () => {
    const socket = connect(api.port, '127.0.0.1');
    const called = new Promise((done) => api.server.once('request', done));
    const gone = new Promise((done) => api.server.once('connection', (one) => one.once('close', done)));
    socket.write(`PUT /__proxyapi/container/config HTTP/1.1\r\nHost: x\r\nX-Test-Target: ${WEB}\r\nAuthorization: Bearer ${deploy}\r\nContent-Length: 100\r\n\r\n{"port"`);
    await called;
    socket.destroy();
    await gone;
    expect((await api.ask('/health')).status).toBe(200);
    expect(api.logged).toEqual([]);
  });
});

describe('who may', () => {
  it('nobody without a token: 401 that asks for one', async () => {
    const answer = await api.ask('/__proxyapi/container', { on: WEB });
    expect(answer).toMatchObject({ status: 401, json: { code: 'unauthorized' } });
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect((await api.ask('/__proxyapi/container', { on: WEB, token: 'pipes_wrong' })).status).toBe(401);
  });

  it('nobody beyond their scope: 403', async () => {
    const bob = await api.token('deploy:bob/*');
    expect(await api.ask('/__proxyapi/container', { on: WEB, token: bob })).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    for (const [method, path] of [['POST', 'container/start'], ['GET', 'container/stop'], ['DELETE', 'container'], ['PUT', 'container/config'], ['PUT', 'repository/config']] as const) {
      expect((await api.ask(`/__proxyapi/${path}`, { on: WEB, token: read, method, body: method === 'PUT' ? {} : undefined })).status).toBe(403);
    }
    expect(api.control.calls).toEqual([]);
  });

  it('a page of another site learns nothing without a token', async () => {
    for (const site of ['cross-site', 'same-site']) {
      const answer = await api.ask('/__proxyapi/container/stop', { on: WEB, headers: { 'sec-fetch-site': site } });
      expect(answer).toMatchObject({ status: 404, text: 'Not Found\n' });
    }
    expect((await api.ask('/__proxyapi/container', { on: WEB, token: read, headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(200);
  });

  it('everybody under API_AUTH=none, but no page of another site', async () => {
    const open = new RunningApi({ isOpen: true });
    await open.start();
    expect((await open.ask('/__proxyapi/container/stop', { on: WEB, method: 'POST' })).status).toBe(200);
    expect((await open.ask('/__proxyapi/container/stop', { on: WEB, headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(404);
    expect((await open.ask('/tokens', { headers: { 'sec-fetch-site': 'same-site' } })).status).toBe(401);
    expect(open.control.calls).toEqual([`stop ${WEB}`]);
    await open.stop();
  });

  it('gets no cookie and no CORS header', async () => {
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: read, headers: { origin: 'http://evil.example' } });
    expect(Object.keys(answer.headers).filter((name) => name === 'set-cookie' || name.startsWith('access-control-'))).toEqual([]);
    expect(answer.headers['cache-control']).toBe('no-store');
  });
});

describe('paths and methods', () => {
  it.each(['/__proxyapi/container/logs', '/__proxyapi/container/stats', '/__proxyapi/nope', '/__proxyapi/CONTAINER', '/__proxyapi/tokens'])('%s of a target is 404', async (path) => {
    expect(await api.ask(path, { on: WEB, token: admin })).toMatchObject({ status: 404, json: { code: 'not_found' } });
  });

  it('other methods are 405 and told which do', async () => {
    const answer = await api.ask('/__proxyapi/container', { on: WEB, token: admin, method: 'POST' });
    expect(answer).toMatchObject({ status: 405, json: { code: 'method_not_allowed' } });
    expect(answer.headers['allow']!.split(', ').sort()).toEqual(['DELETE', 'GET', 'HEAD']);
  });

  it('an upgrade is answered and closed', async () => {
    const socket = connect(api.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe('the platform', () => {
  it.each(['/', '/__proxyapi', '/__proxyapi/'])('%s says what this is', async (path) => {
    expect(await api.ask(path)).toMatchObject({ status: 200, text: 'pipes 1.2.3\n' });
  });

  it.each([['ok', 200], ['degraded', 200], ['starting', 503], ['stopping', 503]] as const)('/health is %s: %i, without a token', async (status, code) => {
    api.health = { status, reasons: ['because'] };
    for (const path of ['/health', '/__proxyapi/health']) {
      const answer = await api.ask(path);
      expect(answer).toMatchObject({ status: code, json: { status, reasons: ['because'] } });
      expect(answer.headers['retry-after'] !== undefined).toBe(code === 503);
    }
  });

  it('/containers lists what the caller may read', async () => {
    api.control.instances.set('bob/x:latest', { state: 'running' }).set(WEB, { state: 'paused' });
    expect((await api.ask('/containers', { token: read })).json).toMatchObject([{ reference: WEB, state: 'paused' }]);
    expect((await api.ask('/__proxyapi/containers', { token: admin })).json).toMatchObject([{ reference: WEB }, { reference: 'bob/x:latest' }]);
    expect((await api.ask('/containers')).status).toBe(401);
  });

  it('/tokens makes, lists and ends tokens', async () => {
    const made = await api.ask('/tokens', { method: 'POST', token: admin, body: { name: 'ci', scopes: ['deploy:alice/web'], expires: '30d' } });
    expect(made).toMatchObject({ status: 201, json: { name: 'ci' } });
    expect(made.json!.token).toMatch(/^pipes_[\w-]{43}$/);
    expect((await api.ask('/__proxyapi/container', { on: WEB, token: made.json!.token! })).status).toBe(200);
    const list = await api.ask('/__proxyapi/tokens', { token: admin });
    expect(list.json).toContainEqual({ name: 'ci', scopes: ['deploy:alice/web'], createdAt: expect.any(String) as string, expiresAt: expect.any(String) as string });
    expect(list.text).not.toMatch(/sha256|pipes_/);
    expect((await api.ask('/tokens/ci', { method: 'DELETE', token: admin })).status).toBe(204);
    expect((await api.ask('/tokens/ci', { method: 'DELETE', token: admin })).status).toBe(404);
    expect((await api.ask('/__proxyapi/container', { on: WEB, token: made.json!.token! })).status).toBe(401);
  });

  it('/tokens is for administrators, and checks what it is told', async () => {
    expect((await api.ask('/tokens', { token: deploy })).status).toBe(403);
    expect((await api.ask('/tokens', { method: 'POST', token: deploy, body: { name: 'x', scopes: ['admin'] } })).status).toBe(403);
    const faulty = await api.ask('/tokens', { method: 'POST', token: admin, body: { name: '/', scopes: [], expires: 'soon', more: 1 } });
    expect(faulty.faultPaths).toEqual(['expires', 'more', 'name', 'scopes']);
    const scopes = await api.ask('/tokens', { method: 'POST', token: admin, body: { name: 'x', scopes: ['admin', 'deploy', 'read:a/b/c'] } });
    expect(scopes.faultPaths).toEqual(['scopes[1]', 'scopes[2]']);
    const past = await api.ask('/tokens', { method: 'POST', token: admin, body: { name: 'x', scopes: ['admin'], expires: '2020-01-01T00:00:00Z' } });
    expect(past).toMatchObject({ status: 400, json: { faults: [{ path: 'expires' }] } });
    const body = { name: 'same', scopes: ['admin'] };
    const [one, two] = await Promise.all([1, 2].map(() => api.ask('/tokens', { method: 'POST', token: admin, body })));
    expect([one!.status, two!.status].sort()).toEqual([201, 400]);
  });
});

function gate(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

describe('a body with the one key that objects cannot hold', () => {
  it.each(['{"__proto__":{"port":1}}', '{"env":{"__proto__":"x"}}', '{"labels":{"a":{"__proto__":1}}}'])('is refused, not taken without it: %s', async (body) => {
    const answer = await api.ask('/__proxyapi/container/config', { method: 'PUT', on: WEB, token: admin, body });
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
    expect(api.store.containers.has(WEB)).toBe(false);
  });
});
