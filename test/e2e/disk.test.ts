import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { request } from '../lab/http-client.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { SmallDisk } from '../lab/small-disk.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('disk');
let disk: SmallDisk;
let pipes: PipesProcess;

afterEach(async () => {
  await pipes.stop();
  disk.remove();
});

const visit = (app: App) => request(pipes.port, { host: app.host, timeoutMs: 20_000 });
const config = (app: App, body?: object) => request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: body === undefined ? 'GET' : 'PUT', token: pipes.token, timeoutMs: 20_000, ...(body === undefined ? {} : { body }) });
const start = (options: Parameters<typeof startPipes>[0] = {}) => startPipes({ configDir: join(disk.path, 'configs'), ...options });

/** Runs it to its end, which must come by itself; gives what it said on standard error. */
async function refused(): Promise<string> {
  pipes = await start({ awaitListening: false });
  await until('it has ended', () => !pipes.runs(), 30_000);
  expect(pipes.exitCode()).toBe(1);
  return pipes.output().split('\n').filter((line) => line !== '' && !line.startsWith('{')).join('\n');
}

describe.skipIf(SmallDisk.obstacle() !== undefined)('a full disk below CONFIG_DIR', () => {
  it('holds up nothing that needs no room, is 507 for what does, and is started on', async () => {
    disk = new SmallDisk('size=512k');
    pipes = await start();
    const [app, cold] = [await apps.build('app'), await apps.build('cold', { from: 'tiny' })];
    expect((await visit(app)).text).toBe(greeting(app));
    expect((await config(app, { env: { KEPT: '1' } })).status).toBe(200);
    disk.fill();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const answer = await config(app, { env: { LARGE: 'x'.repeat(20_000) } });
      expect([answer.status, answer.json()['code']]).toEqual([507, 'disk_full']);
      expect(answer.json()['detail']).toContain(`CONFIG_DIR (${join(disk.path, 'configs')})`);
    }
    const token = await request(pipes.port, { host: 'localhost', path: '/__proxyapi/tokens', method: 'POST', token: pipes.token, body: { name: 'x'.repeat(60), scopes: Array.from({ length: 50 }, (_, index) => `read:alice/web-${index}-${'x'.repeat(50)}`) } });
    expect([token.status, token.json()['code']]).toEqual([507, 'disk_full']);
    expect((await config(app)).json()).toEqual({ env: { KEPT: '1' } });
    expect((await visit(app)).text).toBe(greeting(app));
    expect((await visit(cold)).status).toBe(200);

    await pipes.stop();
    expect(pipes.exitCode()).toBe(0);
    pipes = await start();
    expect((await visit(app)).text).toBe(greeting(app));
    expect((await config(app)).json()).toEqual({ env: { KEPT: '1' } });
    disk.empty();
    expect((await config(app, { env: { KEPT: '2' } })).status).toBe(200);
    expect(pipes.output()).not.toContain('nobody handled');
  });

  it('lets pipes start again after a crash, also when no inode is left', async () => {
    disk = new SmallDisk('size=1m,nr_inodes=24');
    pipes = await start();
    const app = await apps.build('crash', { from: 'tiny' });
    expect((await config(app, { env: { KEPT: '1' } })).status).toBe(200);
    disk.fillInodes();
    const answer = await config(app, { env: { KEPT: '2' } });
    expect([answer.status, answer.json()['code']]).toEqual([507, 'disk_full']);
    await pipes.kill();
    disk.fillInodes();
    pipes = await start();
    expect((await config(app)).json()).toEqual({ env: { KEPT: '1' } });
    expect((await visit(app)).status).toBe(200);
  });

  it('stops a first start with one line', async () => {
    disk = new SmallDisk('size=64k');
    disk.fill();
    expect(await refused()).toMatch(/^pipes: There is no space left for pipes\.json in CONFIG_DIR \(.*\), .*free some and try again\.$/);
  });
});

describe.skipIf(SmallDisk.obstacle() !== undefined)('a read-only CONFIG_DIR', () => {
  it('stops the start with one line; one that turns read-only in use goes on serving and refuses writes', async () => {
    disk = new SmallDisk('size=512k');
    pipes = await start();
    const app = await apps.build('readonly', { from: 'tiny' });
    expect((await config(app, { env: { KEPT: '1' } })).status).toBe(200);
    disk.remount('ro');
    expect((await visit(app)).status).toBe(200);
    const answer = await config(app, { env: { KEPT: '2' } });
    expect([answer.status, answer.json()['detail']]).toEqual([500, expect.stringContaining('(EROFS); what it held before stands') as string]);
    expect((await config(app)).json()).toEqual({ env: { KEPT: '1' } });
    await pipes.stop();
    expect(pipes.exitCode()).toBe(0);
    expect(await refused()).toMatch(/^pipes: CONFIG_DIR .* cannot be locked \(EROFS\)\. It must be writable.*$/);
  });
});

describe.skipIf(SmallDisk.obstacle() !== undefined)('a full disk below the log', () => {
  it('holds up no request and no end; once there is room the log says how much is missing, if anything is', async () => {
    disk = new SmallDisk('size=256k');
    const logFile = join(disk.path, 'log');
    pipes = await startPipes({ logFile });
    const app = await apps.build('log', { from: 'tiny' });
    await visit(app);
    disk.fill();
    const lines = readFileSync(logFile, 'utf8').split('\n').length;
    // More than fits on the last page of the file.
    for (let count = 0; count < 100; count += 1) expect((await visit(app)).status).toBe(200);
    disk.empty();
    await until('the log goes on', async () => {
      await visit(app);
      return readFileSync(logFile, 'utf8').split('\n').length > lines + 100;
    }, 20_000);
    expect(pipes.output()).not.toContain('nobody handled');
    disk.fill();
    for (let count = 0; count < 50; count += 1) expect((await visit(app)).status).toBe(200);
    const stoppedMs = Date.now();
    await pipes.stop();
    expect(pipes.exitCode()).toBe(0);
    expect(Date.now() - stoppedMs).toBeLessThan(20_000);
  });
});
