import { readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { openRequest, request } from '../lab/http-client.ts';
import { labDirectory, useLab } from '../lab/lab.ts';
import { freshConfigDir, startPipes, type PipesOptions, type PipesProcess } from '../lab/pipes-process.ts';
import { openRawSocket } from '../lab/raw-socket.ts';
import { until } from '../lab/until.ts';
import { openWebSocket } from '../lab/web-socket.ts';

const apps = new Apps('serve');
const containers = new EngineContainers(useLab().dockerHost);
let app: App;

beforeAll(async () => {
  app = await apps.build('app');
});

/** Runs it to its end. */
async function ended(options: PipesOptions): Promise<{ exitCode: number | null; lines: string[] }> {
  const process = await startPipes({ ...options, awaitListening: false });
  await until('it has ended', () => !process.runs(), 20_000);
  return { exitCode: process.exitCode(), lines: process.output().trimEnd().split('\n') };
}

async function during(options: PipesOptions, work: (pipes: PipesProcess) => Promise<void>): Promise<void> {
  const pipes = await startPipes(options);
  try {
    await work(pipes);
  } finally {
    await pipes.stop();
  }
}

describe('SIGTERM', () => {
  it('finishes what is in flight, takes nothing new, and leaves containers up', async () => {
    const pipes = await startPipes();
    await request(pipes.port, { host: app.host });
    const before = await containers.only(app.reference);
    const idle = new Agent({ keepAlive: true });
    await request(pipes.port, { host: app.host, agent: idle });
    const slow = request(pipes.port, { host: app.host, path: '/slow?ms=1500' });
    const upload = await openRequest(pipes.port, { host: app.host, path: '/trickle?ms=100&times=12' });
    const cold = await apps.build('cold', { env: { LISTEN_AFTER_MS: '800' } });
    const waking = request(pipes.port, { host: cold.host });
    await until('all are in', async () => (await request(pipes.port, { host: cold.host, path: '/__proxyapi/container', token: pipes.token })).json()['state'] === 'starting');
    pipes.signal('SIGTERM');
    await until('it takes nothing new', async () => await openRawSocket(pipes.port).then((socket) => {
      socket.destroy();
      return false;
    }, () => true));
    expect(pipes.runs()).toBe(true);
    expect((await slow).text).toBe('slow\n');
    expect(Buffer.concat((await upload.response.toArray()) as Buffer[]).toString()).toContain('line 11\n');
    expect((await waking).text).toBe(greeting(cold));
    await until('it has ended', () => !pipes.runs());
    expect(pipes.exitCode()).toBe(0);
    idle.destroy();
    expect((await containers.only(app.reference)).State).toEqual(before.State);
    // And the next one serves them as they are.
    await during({ configDir: pipes.configDir }, async (next) => {
      expect((await request(next.port, { host: app.host })).text).toBe(greeting(app));
      expect((await containers.only(app.reference)).State.StartedAt).toBe(before.State.StartedAt);
    });
  });

  it('cuts what does not finish in SHUTDOWN_TIMEOUT', async () => {
    const pipes = await startPipes({ env: { SHUTDOWN_TIMEOUT: '700ms' } });
    const hanging = request(pipes.port, { host: app.host, path: '/hang' }).catch((error: unknown) => error);
    const socket = await openWebSocket(pipes.port, app.host);
    const startedMs = Date.now();
    pipes.signal('SIGTERM');
    await until('it has ended', () => !pipes.runs());
    expect(Date.now() - startedMs).toBeGreaterThanOrEqual(650);
    expect(Date.now() - startedMs).toBeLessThan(5_000);
    expect(pipes.exitCode()).toBe(0);
    expect(await hanging).toBeInstanceOf(Error);
    await expect(socket.next()).rejects.toThrow();
  });
});

describe('the directory of configurations', () => {
  it('belongs to one process: a second one stops with one line, and the first goes on', async () => {
    await during({}, async (first) => {
      const { exitCode, lines } = await ended({ configDir: first.configDir });
      expect(exitCode).toBe(1);
      expect(problems(lines)).toHaveLength(1);
      expect(problems(lines)[0]).toMatch(new RegExp(`CONFIG_DIR ${first.configDir} is in use by process ${first.pid}\\b`));
      expect((await request(first.port, { host: 'localhost', path: '/health' })).status).toBe(200);
    });
  });

  it('belongs to a process that was stopped in mid-air, too', async () => {
    await during({}, async (first) => {
      first.signal('SIGSTOP');
      try {
        const { exitCode, lines } = await ended({ configDir: first.configDir });
        expect([exitCode, problems(lines).length]).toEqual([1, 1]);
        expect(problems(lines)[0]).toMatch(/is in use by a process that does not answer/);
      } finally {
        first.signal('SIGCONT');
      }
      expect((await request(first.port, { host: 'localhost', path: '/health' })).status).toBe(200);
    });
  });

  it('is free again at once after kill -9', async () => {
    const first = await startPipes();
    await first.kill();
    await during({ configDir: first.configDir }, async (next) => {
      expect((await request(next.port, { host: 'localhost', path: '/health' })).status).toBe(200);
    });
  });

  it('with a file that cannot be read stops the start, and the file stays as it is', async () => {
    const configDir = freshConfigDir();
    writeFileSync(join(configDir, 'pipes.json'), '{"version": 1, "cut off he');
    const { exitCode, lines } = await ended({ configDir });
    expect(exitCode).toBe(1);
    expect(problems(lines)).toHaveLength(1);
    expect(problems(lines)[0]).toContain(join(configDir, 'pipes.json'));
    expect(readFileSync(join(configDir, 'pipes.json'), 'utf8')).toBe('{"version": 1, "cut off he');
  });
});

describe('the admin token', () => {
  it('is made at the first start, shown once, and stored as a hash alone', async () => {
    const configDir = freshConfigDir();
    const env = { API_TOKEN: undefined };
    let token = '';
    await during({ configDir, env }, async (first) => {
      const shown = [...first.output().matchAll(/\bpipes_[\w-]{20,}/g)].map(([text]) => text);
      expect(shown).toHaveLength(1);
      token = shown[0]!;
      expect((await request(first.port, { host: 'localhost', path: '/containers', token })).status).toBe(200);
      expect((await request(first.port, { host: 'localhost', path: '/containers', token: `${token}x` })).status).toBe(401);
    });
    expect(readFileSync(join(configDir, 'pipes.json'), 'utf8')).not.toContain(token.slice('pipes_'.length));
    // A start that failed has shown nothing, so the next one does.
    const other = freshConfigDir();
    await during({}, async (first) => expect(await ended({ port: first.port, configDir: other, env })).toMatchObject({ exitCode: 1 }));
    await during({ configDir: other, env }, async (next) => {
      await until('the token is shown', () => /\bpipes_[\w-]{20,}/.test(next.output()));
    });
    await during({ configDir, env }, async (second) => {
      expect(second.output()).not.toMatch(/\bpipes_[\w-]{20,}/);
      expect((await request(second.port, { host: 'localhost', path: '/containers', token })).status).toBe(200);
    });
  });

  it('may come from a file', async () => {
    const file = join(labDirectory('secret'), 'token');
    writeFileSync(file, 'a-token-from-a-file\n');
    await during({ env: { API_TOKEN: undefined, API_TOKEN_FILE: file } }, async (pipes) => {
      expect((await request(pipes.port, { host: 'localhost', path: '/containers', token: 'a-token-from-a-file' })).status).toBe(200);
      expect(pipes.output()).not.toContain('a-token-from-a-file');
    });
  });

  it('is not needed under API_AUTH=none, which each start and /health say', async () => {
    await during({ env: { API_AUTH: 'none', API_TOKEN: undefined } }, async (pipes) => {
      expect((await request(pipes.port, { host: 'localhost', path: '/containers' })).status).toBe(200);
      expect(pipes.output()).toContain('API_AUTH is none');
      const health = (await request(pipes.port, { host: 'localhost', path: '/health' })).json<{ status: string; reasons: string[] }>();
      expect(health.status).toBe('degraded');
      expect(health.reasons.join()).toContain('API_AUTH');
      // A page of another site still learns nothing.
      expect((await request(pipes.port, { host: app.host, path: '/__proxyapi/container', headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(404);
    });
  });
});

describe('a wrong setting', () => {
  it.each([
    ['PORT', { PORT: 'http' }],
    ['PORT', { PORT: '70000' }],
    ['PULL', { PULL: 'sometimes' }],
    ['START_TIMEOUT', { START_TIMEOUT: '5 minutes' }],
    ['MEMORY', { MEMORY: 'lots' }],
    ['WAKE_RATE', { WAKE_RATE: 'fast' }],
    ['API_TOKEN', { API_TOKEN: 'short' }],
    ['TRUST_PROXY', { TRUST_PROXY: 'my-proxy' }],
    ['DOCKER_HOST', { DOCKER_HOST: 'ssh://host' }],
    ['MEMORY_FILE', { MEMORY_FILE: '/no/such/file' }],
    ['CPUS', { CPUS: '1', CPUS_FILE: '/etc/hostname' }],
    ['DOCKER_AUTH', { DOCKER_AUTH: 'true' }],
  ])('(%s of %j) stops the start with one line that names it', async (name, env) => {
    const { exitCode, lines } = await ended({ env });
    expect(exitCode).toBe(1);
    expect(problems(lines)).toHaveLength(1);
    expect(problems(lines)[0]).toContain(name);
    expect(lines.join()).not.toContain('    at ');
  });

  it('of a port that is taken is named', async () => {
    await during({}, async (first) => {
      const { exitCode, lines } = await ended({ port: first.port });
      expect([exitCode, problems(lines).length]).toEqual([1, 1]);
      expect(problems(lines)[0]).toMatch(new RegExp(`port ${first.port}\\b.*taken`));
    });
  });
});

describe('the platform', () => {
  let pipes: PipesProcess;
  beforeAll(async () => {
    pipes = await startPipes({ env: { PLATFORM_HOSTS: 'console.example.org', DOMAIN: 'apps.example.com' } });
  });
  afterAll(async () => await pipes.stop());

  it('says what it is, and how it does, on each of its hosts', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    for (const host of ['localhost', 'pipes.localhost', 'torokko.apps.example.com', 'apps.example.com', 'console.example.org', 'single']) {
      expect([host, (await request(pipes.port, { host })).text.trim()]).toEqual([host, `pipes ${version}`]);
      expect([host, (await request(pipes.port, { host, path: '/health' })).json()]).toEqual([host, { status: 'ok', reasons: [] }]);
    }
    expect((await request(pipes.port, { host: `127.0.0.1:${pipes.port}`, path: '/health' })).status).toBe(200);
    expect((await request(pipes.port, { host: 'apps.example.net' })).json()).toMatchObject({ code: 'host_unknown' });
  });

  it('lists what there is to who may see it', async () => {
    expect((await request(pipes.port, { host: 'localhost', path: '/containers' })).status).toBe(401);
    const host = app.host.replace(/localhost$/, 'apps.example.com');
    expect((await request(pipes.port, { host })).text).toBe(greeting(app));
    const listed = (await request(pipes.port, { host: 'localhost', path: '/containers', token: pipes.token })).json<{ reference: string; state: string }[]>();
    expect(listed).toMatchObject([{ reference: app.reference, state: 'running' }]);
  });
});

describe('the command', () => {
  it('`config` prints every setting with its origin, and no secret', async () => {
    const { exitCode, lines } = await ended({ args: ['config'], env: { MEMORY: '64m', API_TOKEN: 'a-secret-of-sixteen' } });
    expect(exitCode).toBe(0);
    expect(lines.find((line) => line.startsWith('MEMORY '))).toMatch(/64m/);
    expect(lines.find((line) => line.startsWith('PIDS '))).toMatch(/512\s+default/);
    expect(lines.join('\n')).not.toContain('a-secret-of-sixteen');
  });

  it('`url` prints both forms', async () => {
    const { exitCode, lines } = await ended({ args: ['url', 'alice/web:v1.2'], env: { PIPES_URL: 'http://localhost:8080' } });
    expect([exitCode, lines.join(' ')]).toEqual([0, expect.stringMatching(/v1\.2\.web\.alice\.localhost.* .*v1z-d2--web--alice\.localhost/)]);
  });
});

/** What was said besides the log's own lines. */
function problems(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.startsWith('{') && line.trim() !== '');
}
