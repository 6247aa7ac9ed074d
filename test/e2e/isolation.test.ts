import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENDPOINTS } from '../../src/api/contract/endpoints.ts';
import { Apps, type App } from '../lab/apps.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { startEngine, type Engine } from '../lab/engine.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { INTERNET, LAN, METADATA, OWN_LAN, OWN_PUBLIC, WORLD_SAYS, makeMachine, type Machine } from '../lab/machine.ts';
import { freshConfigDir, startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { until } from '../lab/until.ts';

/** All on a machine of its own: the rules are real, and nobody else's. */
let machine: Machine;
let engine: Engine | undefined;
let dockerHost: string;
let containers: EngineContainers;
let apps: Apps;
let app: App;
const configDir = freshConfigDir();
const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
const MACHINE_SAYS = 'the machine';
const ENGINE_PORT = 2375;

beforeAll(async () => {
  const { dir } = useLab();
  machine = await makeMachine(dir);
  engine = await startEngine({ labDir: dir, machine, extraArgs: ['--dns', LAN, '-H', `tcp://0.0.0.0:${ENGINE_PORT}`, '--tls=false'] });
  dockerHost = engine.dockerHost;
  containers = new EngineContainers(dockerHost);
  apps = new Apps('cage', { dockerHost });
  await machine.serve(8000, MACHINE_SAYS);
  app = await apps.build('one', { from: 'tiny' });
});
afterAll(async () => {
  await engine?.close();
  await machine.close();
});

/** Each time the same pipes, with other settings. */
async function startHere(EGRESS: 'internet' | 'all', on: Machine = machine): Promise<PipesProcess> {
  return await startPipes({ machine: on, dockerHost, configDir, env: { EGRESS, BIND: '0.0.0.0' } });
}

/** Its container, awake. */
async function woken(pipes: PipesProcess, which = app): Promise<string> {
  // While the engine is not back yet the answer says so.
  await until('it answers', async () => (await request(pipes.port, { address: machine.address, host: which.host })).text.includes(which.reference), 30_000);
  // One that was replaced goes a moment later.
  return (await until('it has one container', async () => ((await containers.of(which.reference)).length === 1 ? await containers.only(which.reference) : undefined))).Id;
}

const UNREACHABLE = 'unreachable';

/** What a program in the container gets from each address, at once. */
async function reached(id: string, addresses: readonly string[]): Promise<Record<string, string>> {
  const script = `for at in ${addresses.join(' ')}; do (a=$(busybox timeout 5 wget -q -O - http://$at/ 2>/dev/null) || a=${UNREACHABLE}; echo "$at $a") & done; wait`;
  const { output } = await containers.exec(id, ['sh', '-c', script]);
  return Object.fromEntries(addresses.map((at) => [at, output.split('\r\n').find((line) => line.startsWith(`${at} `))?.slice(at.length + 1) ?? 'not tried']));
}

const near = [LAN, METADATA, `${OWN_LAN}:8000`, `${OWN_PUBLIC}:8000`];
const far = { [INTERNET]: WORLD_SAYS, 'some.name.example': WORLD_SAYS };
const closed = Object.fromEntries(near.map((address) => [address, UNREACHABLE]));
const open = { [LAN]: WORLD_SAYS, [METADATA]: WORLD_SAYS, [`${OWN_LAN}:8000`]: MACHINE_SAYS, [`${OWN_PUBLIC}:8000`]: MACHINE_SAYS };
const everywhere = [...near, ...Object.keys(far)];

function ownRules(): string[] {
  return machine.run('iptables', '-S').split('\n').filter((line) => line.includes('PIPES-'));
}

/** Lines of its log that speak of EGRESS. */
function warnings(pipes: PipesProcess): unknown[] {
  return pipes.logLines().filter(({ level, msg }) => level === 'warn' && String(msg).includes('EGRESS'));
}

describe('from inside a container', () => {
  let pipes: PipesProcess;
  beforeAll(async () => {
    pipes = await startHere('internet');
  });
  afterAll(async () => {
    await pipes.stop();
    // Containers go on running without pipes.
    expect(ownRules()).not.toEqual([]);
  });

  it('the internet and its names are there; LAN, metadata and the machine are not, and the rules come back when somebody flushes them', async () => {
    expect(await reached(await woken(pipes), everywhere)).toEqual({ ...closed, ...far });
    expect(warnings(pipes)).toEqual([]);

    const rules = ownRules();
    for (const chain of ['DOCKER-USER', 'INPUT']) machine.run('iptables', '-F', chain);
    expect(ownRules()).not.toEqual(rules);
    await engine?.stop();
    await engine?.start();
    await until('the rules are back', () => ownRules().sort().join() === rules.sort().join(), 20_000);
    expect(await reached(await woken(pipes), everywhere)).toEqual({ ...closed, ...far });
  });

  it("others' containers, the engine's socket and its port are not reached", async () => {
    const other = await new Apps('cage-other', { dockerHost }).build('two', { from: 'tiny' });
    const [mine, theirs] = [await woken(pipes), await woken(pipes, other)];
    const address = await containers.address(theirs);
    const gateway = address.replace(/\d+$/, '1');
    // By hand, in another network, with a port for everybody.
    const published = await containers.run(app.image, { Labels: { 'pipes.ignore': 'true' }, HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8081' }] } } });
    const doors = [address, await containers.address(published), `${OWN_LAN}:8081`, `${gateway}:8081`, ...[address, gateway, OWN_LAN, OWN_PUBLIC, machine.address].map((at) => `${at}:${ENGINE_PORT}`)];
    expect(await reached(mine, doors)).toEqual(Object.fromEntries(doors.map((door) => [door, UNREACHABLE])));
    // They are there: the machine reaches them.
    expect(machine.run('busybox', 'wget', '-q', '-O', '-', `http://${address}/`)).toContain(other.reference);
    expect(machine.run('busybox', 'wget', '-q', '-O', '-', `http://${gateway}:${ENGINE_PORT}/version`)).toContain('ApiVersion');
    expect(machine.run('busybox', 'wget', '-q', '-O', '-', `http://${OWN_LAN}:8081/`)).toContain(app.reference);
    await containers.remove(published);
    expect((await containers.inspect(mine)).Mounts).toEqual([]);
    expect((await containers.exec(mine, ['cat', '/proc/net/if_inet6'])).output.trim()).toBe('');
  });

  it('every operation of the API answers 401 or 404, but those that are open to everybody', async () => {
    const id = await woken(pipes);
    const operations = ENDPOINTS.flatMap(({ place, method, path, scope }) => {
      const at = path.replace(/:\w+/g, 'x');
      const lines = place === 'target' ? [[app.host, `/__proxyapi${at}`]] : [['localhost', at], ['localhost', `/__proxyapi${at}`], [app.host, `/__proxyapi${at}`]];
      return lines.map(([host, target]) => ({ host, method, target, isOpen: scope === 'none' && host === 'localhost' }));
    });
    expect(operations.length).toBeGreaterThan(30);
    const asked = operations.map(({ host, method, target }) => `ask ${method} ${target} ${host}`).join('\n');
    const script = `ask() { printf '%s %s HTTP/1.1\\r\\nHost: %s\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}' $1 $2 $3 | busybox timeout 5 nc ${OWN_LAN} ${pipes.port} | busybox head -n 1 | busybox cut -c 10-12; }\n${asked}`;
    const statuses = (await containers.exec(id, ['sh', '-c', script])).output.trim().split(/\s+/);
    const answers = operations.map((operation, index) => ({ ...operation, status: statuses[index] }));
    expect(answers.filter(({ isOpen, status }) => (isOpen ? status !== '200' : status !== '401' && status !== '404'))).toEqual([]);
    expect(await woken(pipes)).toBe(id);
  });

  it('a process has the capabilities that docs/security.md lists, the seccomp profile, and no way to more; an administrator may add to them', async () => {
    const documented = page.split('| it keeps |')[1]!.split('\n\n')[0]!.split('\n').flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name!));
    expect(documented.sort()).toEqual([...BASE].sort());
    const status = async (id: string) => (await containers.exec(id, ['cat', '/proc/1/status', '/proc/self/status'])).output;
    const kept = await status(await woken(pipes));
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect([...kept.matchAll(new RegExp(`^${set}:\\s+(\\w+)`, 'gm'))].map(([, bits]) => bits)).toEqual([mask(BASE), mask(BASE)]);
    expect(kept.match(/^NoNewPrivs:\s+1\r$/gm)).toHaveLength(2);
    expect(kept.match(/^Seccomp:\s+2\r$/gm)).toHaveLength(2);

    const put = { address: machine.address, host: app.host, path: '/__proxyapi/container/config', method: 'PUT', body: { capabilities: ['NET_RAW'] } };
    const made = await request(pipes.port, { address: machine.address, host: 'localhost', path: '/tokens', token: pipes.token, body: { name: 'deployer', scopes: [`deploy:${apps.user}`] } });
    const refused = await request(pipes.port, { ...put, token: made.json<{ token: string }>().token });
    expect([refused.status, refused.json()['faults']]).toEqual([403, [expect.objectContaining({ path: 'capabilities[0]' })]]);
    expect((await request(pipes.port, { ...put, token: pipes.token })).status).toBe(200);
    expect(await status(await woken(pipes))).toContain(`CapEff:\t${mask([...BASE, 'NET_RAW'])}`);
  });

  it('a setuid program gains nothing', async () => {
    const gain = async (id: string) => {
      expect((await containers.exec(id, ['sh', '-c', 'cat /bin/busybox > /tmp/busybox && busybox chmod 4755 /tmp/busybox'])).exitCode).toBe(0);
      return (await containers.exec(id, ['/tmp/busybox', 'su', '-c', 'true'], '1000:1000')).output;
    };
    // busybox's words where its setuid bit has no effect.
    const powerless = 'must be suid to work properly';
    expect(await gain(await woken(pipes))).toContain(powerless);
    const byHand = await containers.run(app.image, { Labels: { 'pipes.ignore': 'true' } });
    expect(await gain(byHand)).not.toContain(powerless);
    await containers.remove(byHand);
  });
});

it('EGRESS=all opens what was closed', async () => {
  const pipes = await startHere('all');
  try {
    expect(await reached(await woken(pipes), everywhere)).toEqual({ ...open, ...far });
    expect(ownRules()).toEqual([]);
  } finally {
    await pipes.stop();
  }
});

it('where pipes may not set rules it warns once, and the commands of docs/security.md do the same', async () => {
  const pipes = await startHere('internet', { ...machine, enter: [...machine.enter, 'setpriv', '--bounding-set=-net_admin'] });
  try {
    const id = await woken(pipes);
    expect(warnings(pipes)).toHaveLength(1);
    expect(await reached(id, everywhere)).toEqual({ ...open, ...far });

    const [set, take] = commands((await containers.address(id)).replace(/\.\d+\.\d+$/, '.0.0/16'));
    machine.run('sh', '-ec', set!);
    expect(await reached(id, everywhere)).toEqual({ ...closed, ...far });
    // The way in is open.
    await woken(pipes);
    machine.run('sh', '-ec', take!);
    expect(ownRules()).toEqual([]);
  } finally {
    await pipes.stop();
  }
});

const BASE = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'NET_BIND_SERVICE'];
/** Places in the kernel's sets (linux/capability.h). */
const BITS: Readonly<Record<string, number>> = { CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3, FSETID: 4, KILL: 5, SETGID: 6, SETUID: 7, NET_BIND_SERVICE: 10, NET_RAW: 13 };

function mask(names: readonly string[]): string {
  return names.reduce((sum, name) => sum + 2 ** BITS[name]!, 0).toString(16).padStart(16, '0');
}

/** The blocks of commands of docs/security.md: those that set the rules, and those that take them away. */
function commands(subnet: string): string[] {
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block!).filter((block) => block.includes('iptables'));
  expect(blocks).toHaveLength(2);
  return blocks.map((block) => block.replace(/^apps=.*$/m, `apps=${subnet}`));
}
