import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting } from '../lab/apps.ts';
import { countCalls, type CountingEngine } from '../lab/counting-engine.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { engineObstacle, startEngine } from '../lab/engine.ts';
import { request, type Answer } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { openRawSocket } from '../lab/raw-socket.ts';
import { startRegistry, type Registry } from '../lab/registry.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('fail');
const containers = new EngineContainers(useLab().dockerHost);
const PULL = /^POST \/images\/create$/;
const CREATE = /^POST \/containers\/create$/;

let engine: CountingEngine;
let pipes: PipesProcess;
/** Of our own, to be stopped and frozen. */
let registry: Registry;

/** Asked for at the start, made then, and found when its 30 s are over: the tests between make use of the time. */
const missing = apps.app('later');
let missingSinceMs: number;

beforeAll(async () => {
  engine = await countCalls(useLab().dockerHost);
  [registry, pipes] = await Promise.all([
    startRegistry({ labDir: useLab().dir }),
    startPipes({
      dockerHost: engine.dockerHost,
      env: {
        DENY: `${apps.user}/denied`,
        TRUST_PROXY: '127.0.0.1',
        WAKE_RATE: '2/h',
        PULL_TIMEOUT: '2s',
        UPSTREAM_TIMEOUT: '1500ms',
        CONNECT_TIMEOUT: '500ms',
        HEADER_TIMEOUT: '1s',
      },
    }),
  ]);
});
afterAll(async () => {
  await Promise.all([pipes.stop(), registry.stop()]);
  await engine.close();
  // The lab takes back what came from its own registries alone.
  await apps.images.removeAllFrom([registry.host]);
});

const visit = (host: string, path = '/', headers: Record<string, string> = {}) => request(pipes.port, { host, path, headers });
const manage = (host: string, path: string, method: string, body?: object) => request(pipes.port, { host, path: `/__proxyapi${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });

/** The problem document of RFC 9457 with that code and status. */
function expectProblem(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, type: answer.headers['content-type'], body: answer.json() }).toMatchObject({
    status,
    type: expect.stringMatching(/^application\/problem\+json/) as string,
    body: { status, code, type: expect.any(String) as string, title: expect.any(String) as string, detail: expect.stringMatching(/\S/) as string },
  });
  if (status !== 503) return;
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(answer.headers['cache-control']).toBe('no-store');
}

describe('a host', () => {
  it('that fits no pattern is 404 host_unknown', async () => {
    for (const host of ['nothing.localhost', '127.0.0.1:8080', '[::1]', 'a--b--c--d.localhost', 'web.Al!ce.localhost'.replace('!', '_-')]) expectProblem(await visit(host), 404, 'host_unknown');
  });

  it('that is none is 400 host_malformed', async () => {
    for (const host of ['a..b.localhost', `${'x'.repeat(64)}.localhost`, `${'a.'.repeat(150)}localhost`, 'a b.localhost']) expectProblem(await visit(host), 400, 'host_malformed');
  });

  it('that is not allowed is 403 image_forbidden, and nothing is asked of engine or registry', async () => {
    const before = engine.count(/images|create/);
    expectProblem(await visit(apps.app('denied').host), 403, 'image_forbidden');
    expect(engine.count(/images|create/)).toBe(before);
  });
});

describe('cold starts', () => {
  it('beyond the rate of a client are 429 rate_limited; others, warm requests and loopback go on', async () => {
    const [first, second, third] = await Promise.all(['one', 'two', 'three'].map((repo) => apps.build(`rate-${repo}`)));
    const from = (address: string) => ({ 'x-forwarded-for': address });
    for (const app of [first!, second!]) expect((await visit(app.host, '/', from('203.0.113.9'))).status).toBe(200);
    const limited = await visit(third!.host, '/', from('203.0.113.9'));
    expectProblem(limited, 429, 'rate_limited');
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(60);
    expect(await containers.of(third!.reference)).toEqual([]);
    expect((await visit(first!.host, '/', from('203.0.113.9'))).status).toBe(200);
    expect((await visit(third!.host, '/', from('203.0.113.10'))).status).toBe(200);
    await manage(first!.host, '/container/stop', 'POST');
    expect((await visit(first!.host)).status).toBe(200);
  });
});

describe('an image', () => {
  it('that does not exist is 404 image_not_found, asked for once', async () => {
    const before = engine.count(PULL);
    missingSinceMs = Date.now();
    const answers = [await visit(missing.host), await visit(missing.host), ...(await Promise.all([visit(missing.host), visit(missing.host)]))];
    for (const answer of answers) {
      expectProblem(answer, 404, 'image_not_found');
      expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(30);
    }
    expect(engine.count(PULL) - before).toBe(1);
    await apps.publish('later', { from: 'tiny' });
    expectProblem(await visit(missing.host), 404, 'image_not_found');
  });

  it('whose registry cannot be reached is 503 registry_unavailable, and is there once the registry is', async () => {
    const away = new Apps('away', { registry: registry.host });
    const app = await away.publish('web', { from: 'tiny' });
    await manage(app.host, '/container/config', 'PUT', { image: app.image });
    await registry.stop();
    expectProblem(await visit(app.host), 503, 'registry_unavailable');
    await registry.start();
    expect((await visit(app.host)).text).toBe(`${app.reference}\n`);
    // What is here needs no registry.
    await registry.stop();
    await manage(app.host, '/container/stop', 'POST');
    expect((await visit(app.host)).text).toBe(`${app.reference}\n`);
    await registry.start();
  });

  it('whose registry does not answer in time is 504 pull_timeout', async () => {
    const slow = new Apps('slow', { registry: registry.host });
    const app = await slow.publish('web', { from: 'tiny' });
    await manage(app.host, '/container/config', 'PUT', { image: app.image });
    registry.freeze();
    try {
      const startedMs = Date.now();
      expectProblem(await visit(app.host), 504, 'pull_timeout');
      expect(Date.now() - startedMs).toBeLessThan(6_000);
    } finally {
      registry.thaw();
    }
    expect((await visit(app.host)).text).toBe(`${app.reference}\n`);
  });

  it('without a command is 502 image_unusable', async () => {
    expectProblem(await visit((await apps.build('empty', { from: 'empty' })).host), 502, 'image_unusable');
  });

  it('whose command is not in it, or is for another kind of machine, is 502 image_unusable', async () => {
    const absent = await apps.build('no-program', { from: 'tiny', command: ['/bin/not-there'] });
    expectProblem(await visit(absent.host), 502, 'image_unusable');
    // With nothing else in it: where there is a shell, the kernel's refusal makes the C library try that.
    const alien = await apps.build('alien', { from: 'empty', command: ['/alien'], programs: { '/alien': elfForAnotherMachine() } });
    expectProblem(await visit(alien.host), 502, 'image_unusable');
  });

  it('that its registry has for other kinds of machines alone is 502 image_unusable', async () => {
    const app = await apps.publish('arm', { from: 'tiny' });
    await offerForAnotherMachineAlone(app.image);
    expectProblem(await visit(app.host), 502, 'image_unusable');
  });

  it.skipIf(engineObstacle() !== undefined)('that does not fit on the engine\'s disk is 507 disk_full', async () => {
    const app = await apps.publish('big', { from: 'tiny', ballastBytes: 60_000_000 });
    const small = await startEngine({ labDir: useLab().dir, diskBytes: 40_000_000 });
    const own = await startPipes({ dockerHost: small.dockerHost });
    try {
      expectProblem(await request(own.port, { host: app.host }), 507, 'disk_full');
    } finally {
      await own.stop();
      await small.close();
    }
  });
});

describe('a container', () => {
  it('that exits while starting is 502 instance_failed at once, with its exit code and the time of the next try', async () => {
    const app = await apps.build('exits', { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '3', PRINT_LINES: '4' } });
    const startedMs = Date.now();
    const first = await visit(app.host);
    expectProblem(first, 502, 'instance_failed');
    expect(Date.now() - startedMs).toBeLessThan(10_000);
    expect(first.json()).toMatchObject({ exitCode: 3 });
    expect(Number(first.headers['retry-after'])).toBeGreaterThan(0);
    expect(first.text).not.toContain('line 4');
  });

  it('is not started again within its back-off, except by order; its last lines are for those who may see them', async () => {
    const app = await apps.build('fails', { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '7', PRINT_LINES: '300' } });
    expect((await visit(app.host)).json()).toMatchObject({ code: 'instance_failed', exitCode: 7 });
    const starts = /^POST \/containers\/[0-9a-f]+\/start$/;
    const before = engine.count(starts);
    expect((await visit(app.host)).json()).toMatchObject({ code: 'instance_failed', exitCode: 7 });
    expect(engine.count(starts)).toBe(before);

    const ordered = await manage(app.host, '/container/start', 'POST');
    expectProblem(ordered, 502, 'instance_failed');
    expect(engine.count(starts)).toBe(before + 1);
    const { lines } = ordered.json<{ lines: string[] }>();
    expect(lines).toHaveLength(200);
    expect(lines.at(-1)).toContain('line ');
    // Its container is kept, to be looked at.
    const { State } = await containers.only(app.reference);
    expect(State.ExitCode).toBe(7);
    const state = await manage(app.host, '/container', 'GET');
    expect(state.json()).toMatchObject({ state: 'failed', error: { code: 'instance_failed', exitCode: 7 } });
    expect((await visit(app.host)).text).not.toContain('line 300');
  });

  it('that is mended by its configuration serves at once, and nothing is left of the one that failed', async () => {
    const app = await apps.build('mended', { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '1' } });
    expect((await visit(app.host)).status).toBe(502);
    expect((await manage(app.host, '/container/config', 'PUT', { env: { EXIT_BEFORE_LISTENING: '0' } })).status).toBe(200);
    expect((await visit(app.host)).text).toBe(greeting(app));
    expect((await containers.only(app.reference)).State.Running).toBe(true);
    expect((await manage(app.host, '/container', 'GET')).json()).toMatchObject({ state: 'running', error: null });
  });

  it('that does not get ready in time is 504 instance_not_ready, with what was tried', async () => {
    const app = await apps.build('unready', { expose: [], env: { PORT: 'none' } });
    await manage(app.host, '/container/config', 'PUT', { readiness: { timeout: '1500ms' } });
    const answer = await visit(app.host);
    expectProblem(answer, 504, 'instance_not_ready');
    expect(answer.json<{ detail: string }>().detail).toMatch(/port 80\b.*1\.5 s.*`port`/);
    const withPath = await apps.build('unready-path', { env: { READY_AFTER_MS: '600000' } });
    await manage(withPath.host, '/container/config', 'PUT', { readiness: { path: '/ready', timeout: '1500ms' } });
    const second = await visit(withPath.host);
    expectProblem(second, 504, 'instance_not_ready');
    expect(second.json<{ detail: string }>().detail).toContain('/ready');
  });

  it('that stops listening and lives on is 502 upstream_unreachable', async () => {
    const app = await apps.build('deaf');
    expect((await visit(app.host, '/deaf')).text).toBe('deaf\n');
    expectProblem(await visit(app.host), 502, 'upstream_unreachable');
  });

  it('that breaks off is 502 upstream_failed; one that stays silent 504 upstream_timeout', async () => {
    const app = await apps.build('breaks');
    expectProblem(await visit(app.host, '/reset'), 502, 'upstream_failed');
    expectProblem(await visit(app.host, '/hang'), 504, 'upstream_timeout');
    expect((await visit(app.host)).text).toBe(greeting(app));
  });
});

describe('the engine', () => {
  it('out of reach is 503 engine_unavailable for what has to start, while warm targets go on', async () => {
    const [warm, cold] = [await apps.build('engine-warm'), await apps.build('engine-cold')];
    await visit(warm.host);
    engine.cut();
    try {
      await until('pipes has noticed', async () => (await request(pipes.port, { host: 'localhost', path: '/health' })).text.includes('degraded'));
      expectProblem(await visit(cold.host), 503, 'engine_unavailable');
      for (let count = 0; count < 5; count += 1) expect((await visit(warm.host)).text).toBe(greeting(warm));
    } finally {
      engine.mend();
    }
    await until('pipes has noticed', async () => (await request(pipes.port, { host: 'localhost', path: '/health' })).text.includes('"ok"'));
    expect((await visit(cold.host)).text).toBe(greeting(cold));
  });
});

describe('a full queue', () => {
  it('is 503 queue_full', async () => {
    const targets = await Promise.all(['one', 'two', 'three'].map((repo) => apps.build(`queue-${repo}`, { env: { LISTEN_AFTER_MS: '1000' } })));
    const own = await startPipes({ env: { START_CONCURRENCY: '1', QUEUE_LIMIT: '1' } });
    try {
      const answers = await Promise.all(targets.map((app) => request(own.port, { host: app.host })));
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 200, 503]);
      expectProblem(answers.find((answer) => answer.status === 503)!, 503, 'queue_full');
    } finally {
      await own.stop();
    }
  });
});

describe('a malformed request', () => {
  it.each([
    ['no HTTP at all', 'HELLO\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a.b.c.localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a length beside chunks', 'POST / HTTP/1.1\r\nHost: a.b.c.localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a line that is folded', 'GET / HTTP/1.1\r\nHost: a.b.c.localhost\r\n folded\r\nX: y\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ])('(%s) is 400, and its connection ends', async (_, bytes) => {
    const creates = engine.count(CREATE);
    const socket = await openRawSocket(pipes.port);
    socket.write(bytes);
    await socket.until(/^HTTP\/1\.1 400 /);
    if (!bytes.includes('GET / HTTP/1.1\r\n\r\n')) expect(await socket.ended()).toBe('end');
    socket.destroy();
    expect(engine.count(CREATE)).toBe(creates);
  });

  it('that does not come to the end of its head is 408', async () => {
    const socket = await openRawSocket(pipes.port);
    socket.write('GET / HTTP/1.1\r\nHost: a.b');
    await socket.until(/^HTTP\/1\.1 408 /);
    await socket.ended();
    socket.destroy();
  });
});

describe('an error', () => {
  it.each([
    ['nothing said', undefined, /^application\/problem\+json/],
    ['*/*', '*/*', /^application\/problem\+json/],
    ['JSON', 'application/json', /^application\/problem\+json/],
    ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', /^text\/html/],
    ['JSON before HTML', 'text/html;q=0.5, application/json', /^application\/problem\+json/],
    ['neither', 'image/png', /^text\/plain/],
    ['text', 'text/plain', /^text\/plain/],
  ])('is drawn as its reader takes it (%s)', async (_, accept, type) => {
    const answer = await visit(apps.app('denied').host, '/', accept === undefined ? {} : { accept });
    expect(answer.status).toBe(403);
    expect(answer.headers['content-type']).toMatch(type);
    expect(answer.text).toContain('image_forbidden');
  });

  it('is for HEAD its headers alone', async () => {
    const answer = await request(pipes.port, { host: apps.app('denied').host, method: 'HEAD' });
    expect([answer.status, answer.body.length]).toEqual([403, 0]);
  });
});

describe('an image that was missing', () => {
  it('is looked for again after 30 s', async () => {
    const found = await until('it is looked for again', async () => {
      const answer = await visit(missing.host);
      return answer.status === 404 ? undefined : answer;
    }, 40_000, 250);
    expect(found.text).toBe(`${missing.reference}\n`);
    expect(Date.now() - missingSinceMs).toBeGreaterThan(29_000);
  });
});

/** A well-formed executable of a machine that this one is not. */
function elfForAnotherMachine(): Buffer {
  const header = Buffer.alloc(128);
  header.write('\x7fELF', 0, 'latin1');
  header.set([2, 1, 1], 4);
  header.writeUInt16LE(2, 16);
  // s390 (ELF gABI, e_machine).
  header.writeUInt16LE(22, 18);
  header.writeUInt32LE(1, 20);
  header.writeUInt16LE(64, 52);
  return header;
}

/** Puts an index in the place of the image's manifest that names it for s390x only. */
async function offerForAnotherMachineAlone(image: string): Promise<void> {
  const { host, name, tag } = /^(?<host>[^/]+)\/(?<name>.+):(?<tag>[^:]+)$/.exec(image)!.groups as { host: string; name: string; tag: string };
  const url = `http://${host}/v2/${name}/manifests/${tag}`;
  const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
  const manifest = await fetch(url, { headers: { accept: manifestType } });
  const size = (await manifest.arrayBuffer()).byteLength;
  const entry = { mediaType: manifestType, size, digest: manifest.headers.get('docker-content-digest'), platform: { architecture: 's390x', os: 'linux' } };
  const listType = 'application/vnd.docker.distribution.manifest.list.v2+json';
  const put = await fetch(url, { method: 'PUT', headers: { 'content-type': listType }, body: JSON.stringify({ schemaVersion: 2, mediaType: listType, manifests: [entry] }) });
  if (put.status !== 201) throw new Error(`the registry took no index: ${put.status} ${await put.text()}`);
}
