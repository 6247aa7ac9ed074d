import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Apps, type App } from '../lab/apps.ts';
import { EngineContainers, type InspectedContainer } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

const apps = new Apps('net');
const containers = new EngineContainers(useLab().dockerHost);
let pipes: PipesProcess;

beforeAll(async () => {
  pipes = await startPipes();
});
afterAll(async () => await pipes.stop());

async function woken(app: App, by = pipes): Promise<InspectedContainer> {
  expect((await request(by.port, { host: app.host })).text).toContain(app.reference);
  return await containers.only(app.reference);
}

/** What a container of node gets from an address, as a program in it sees it. */
function fetchedIn(id: string, address: string): Promise<{ output: string; exitCode: number }> {
  const script = `fetch('http://${address}/', { signal: AbortSignal.timeout(2000) }).then(async (a) => console.log(await a.text()), () => process.exit(1))`;
  return containers.exec(id, ['/usr/bin/node', '-e', script]);
}

describe('a container', () => {
  it('reaches no other container of pipes, of whatever user', async () => {
    const others = new Apps('net-other');
    const mine = [await apps.build('one'), await apps.build('two', { from: 'tiny' })] as const;
    const theirs = await others.build('three', { from: 'tiny' });
    const [one, two, three] = [await woken(mine[0]), await woken(mine[1]), await woken(theirs)];
    for (const each of [one, two, three]) expect(Object.keys(each.NetworkSettings.Networks)).toEqual(['pipes-apps']);
    const itself = await fetchedIn(one.Id, await containers.address(one.Id));
    expect(itself).toMatchObject({ output: expect.stringContaining(mine[0].reference) as string, exitCode: 0 });
    for (const other of [two, three]) {
      const { output, exitCode } = await fetchedIn(one.Id, await containers.address(other.Id));
      expect(exitCode).not.toBe(0);
      expect(output).not.toContain('net-');
    }
  });

  it('would reach others where traffic between containers is not held back (so the test above sees what it means to see)', async () => {
    const app = await apps.build('by-hand');
    const [one, two] = [await containers.run(app.image), await containers.run(app.image)];
    try {
      const address = await containers.address(two);
      const { output } = await until('it listens', async () => {
        const fetched = await fetchedIn(one, address);
        return fetched.exitCode === 0 ? fetched : undefined;
      });
      expect(output).toContain(app.reference);
    } finally {
      for (const id of [one, two]) await containers.remove(id);
    }
  });

  it('has the limits of the settings, unless its configuration says otherwise: as the engine was told, and as the kernel keeps them', async () => {
    const [plain, configured] = [await apps.build('plain', { from: 'tiny' }), await apps.build('limited', { from: 'tiny' })];
    await request(pipes.port, { host: configured.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { memory: '64m', cpus: 0.25, pids: 32 } });
    for (const [app, limits] of [[plain, { memory: 512 * 1024 ** 2, cpus: 1, pids: 512 }], [configured, { memory: 64 * 1024 ** 2, cpus: 0.25, pids: 32 }]] as const) {
      const { Id, HostConfig } = await woken(app);
      expect(HostConfig).toMatchObject({ Memory: limits.memory, MemorySwap: limits.memory, NanoCpus: limits.cpus * 1e9, PidsLimit: limits.pids });
      expect(HostConfig.SecurityOpt).toContain('no-new-privileges');
      // Version 1 of the kernel's control groups, or version 2.
      const { output } = await containers.exec(Id, ['sh', '-c', 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max; cat cpu/cpu.cfs_quota_us cpu.max; cat pids/pids.max pids.max; cat /proc/1/status']);
      const lines = output.split('\r\n').filter((line) => !line.startsWith('cat:'));
      expect([lines[0], lines[1]!.split(' ')[0], lines[2]]).toEqual([String(limits.memory), String(limits.cpus * 100_000), String(limits.pids)]);
      expect(output).toMatch(/^NoNewPrivs:\s+1\r$/m);
    }
  });

  it('that takes more memory than it may ends, and the answer says why', async () => {
    const hungry = ['/bin/sh', '-c', 'busybox awk \'BEGIN { s = "x"; for (;;) s = s s }\''];
    const app = await apps.build('hungry', { from: 'tiny', command: hungry });
    await request(pipes.port, { host: app.host, path: '/__proxyapi/container/config', method: 'PUT', token: pipes.token, body: { memory: '16m' } });
    const answer = await request(pipes.port, { host: app.host });
    expect(answer.json()).toMatchObject({ code: 'instance_failed', detail: expect.stringContaining('memory') as string });
  });

  it('fills no disk with what it prints', async () => {
    const printing = ['/bin/sh', '-c', 'busybox awk \'BEGIN { s = sprintf("%1000s", "x"); for (i = 0; i < 30000; i++) print s; print "the end" }\'; echo > /www/index.html; httpd -f -p 80 -h /www'];
    const app = await apps.build('printing', { from: 'tiny', command: printing });
    expect((await request(pipes.port, { host: app.host })).status).toBe(200);
    const { Id, HostConfig } = await containers.only(app.reference);
    expect(HostConfig.LogConfig).toMatchObject({ Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } });
    const logs = await containers.logs(Id);
    expect(logs.endsWith('the end\n')).toBe(true);
    expect(logs.length).toBeLessThan(21_000_000);
  });
});

describe('with ISOLATE=off', () => {
  it('containers are in the default bridge, where they reach each other', async () => {
    const open = await startPipes({ env: { ISOLATE: 'off' } });
    try {
      const [one, two] = [await woken(await apps.build('open-one'), open), await woken(await apps.build('open-two', { from: 'tiny' }), open)];
      expect(Object.keys(one.NetworkSettings.Networks)).toEqual(['bridge']);
      expect((await fetchedIn(one.Id, await containers.address(two.Id))).exitCode).toBe(0);
    } finally {
      await open.stop();
    }
  });

  it('a network that NETWORK names and nobody has made is named', async () => {
    const lost = await startPipes({ env: { ISOLATE: 'off', NETWORK: `${apps.user}-nowhere` } });
    try {
      const app = await apps.build('lost', { from: 'tiny' });
      const answer = await request(lost.port, { host: app.host });
      expect(answer.status).toBe(503);
      expect(answer.json<{ detail: string }>().detail).toContain(`${apps.user}-nowhere`);
    } finally {
      await lost.stop();
    }
  });
});
