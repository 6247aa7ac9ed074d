import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/core/log.ts';
import { EngineClient } from '../../../src/docker/client.ts';
import { Networks, ISOLATED_NETWORK, type NetworkOptions } from '../../../src/docker/networks.ts';
import { candidateIds, findOwnContainer, type OwnContainer } from '../../../src/docker/own-container.ts';
import { isOwnAddress } from '../../../src/docker/reach.ts';
import { engineHttp } from '../../lab/engine-http.ts';
import { FixtureImages } from '../../lab/images.ts';
import { useLab } from '../../lab/lab.ts';

const { dockerHost } = useLab();
const client = new EngineClient({ host: dockerHost });
const fixtures = new FixtureImages(dockerHost);
const suffix = randomBytes(4).toString('hex');
const image = `networks${suffix}/sleeper:main`;
const home = `home-${suffix}`;
const user = `networks${suffix}`;
/** Out of the way of what this machine and other tests use. */
const OPTIONS: NetworkOptions = { isolate: true, network: undefined, networkPool: `10.214.${randomBytes(1)[0]!}.0/24`, upstream: 'auto' };
const containers: string[] = [];

interface Network { Id: string; Name: string; Options: Record<string, string>; IPAM: { Config: { Subnet: string }[] }; Containers: Record<string, unknown> }
async function network(name: string): Promise<Network> {
  return (await engineHttp(dockerHost, `/networks/${name}`)).json() as Network;
}
async function run(cmd: string[]): Promise<string> {
  const made = (await engineHttp(dockerHost, '/containers/create', { method: 'POST', body: { Image: image, Cmd: cmd, HostConfig: { NetworkMode: home } } })).json() as { Id: string };
  containers.push(made.Id);
  const started = await engineHttp(dockerHost, `/containers/${made.Id}/start`, { method: 'POST' });
  if (started.status !== 204) throw new Error(started.text());
  return made.Id;
}
const networks = (options = OPTIONS, self?: OwnContainer): Networks => new Networks(client, options, silentLog, async () => await Promise.resolve(self));

beforeAll(async () => {
  await fixtures.build(image, { from: 'tiny', command: ['/bin/sleep', '300'] });
  await engineHttp(dockerHost, '/networks/create', { method: 'POST', body: { Name: home } });
});
afterEach(async () => {
  for (const id of containers.splice(0)) await engineHttp(dockerHost, `/containers/${id}?force=true`, { method: 'DELETE' });
});
afterAll(async () => {
  for (const name of [home, `pipes-apps-${user}`, `pipes-apps-${user}b`]) await engineHttp(dockerHost, `/networks/${name}`, { method: 'DELETE' });
  await fixtures.remove(image);
});

describe('Networks on the host', () => {
  it('puts everyone into one network without traffic between containers, asking the engine once', async () => {
    const one = networks();
    expect(await one.place('alice')).toEqual({ network: ISOLATED_NETWORK, reach: 'network' });
    const before = client.callCount;
    await one.place('bob');
    expect(client.callCount).toBe(before);
    expect((await network(ISOLATED_NETWORK)).Options['com.docker.network.bridge.enable_icc']).toBe('false');
    expect((await networks({ ...OPTIONS, upstream: 'publish' }).place('alice')).reach).toBe('publish');
  });

  it('uses the network it is told to without ISOLATE, and names one that is not there', async () => {
    expect(await networks({ ...OPTIONS, isolate: false, network: home }).place('alice')).toEqual({ network: home, reach: 'network' });
    expect((await networks({ ...OPTIONS, isolate: false, upstream: 'network' }).place('alice')).network).toBe('bridge');
    await expect(networks({ ...OPTIONS, isolate: false, network: `not-${home}` }).place('alice')).rejects.toThrow(`not-${home}`);
  });

  it('is not fooled by a machine that is not in a container of this engine', async () => {
    expect(await findOwnContainer(client)).toBeUndefined();
  });
});

describe('Networks in a container', () => {
  it('makes one network per user out of the pool, once, and joins it', async () => {
    const self: OwnContainer = { id: await run(['/bin/sleep', '300']), networks: new Map() };
    const places = await Promise.all(Array.from({ length: 4 }, async () => await networks(OPTIONS, self).place(user)));
    expect(places).toEqual(Array.from({ length: 4 }, () => ({ network: `pipes-apps-${user}`, reach: 'network' })));
    const all = (await engineHttp(dockerHost, '/networks')).json() as Network[];
    expect(all.filter(({ Name }) => Name === `pipes-apps-${user}`)).toHaveLength(1);
    const first = await network(`pipes-apps-${user}`);
    expect(first.IPAM.Config[0]!.Subnet).toBe(OPTIONS.networkPool.replace('/24', '/26'));
    expect(Object.keys(first.Containers)).toEqual([self.id]);
    expect((await networks(OPTIONS, self).place(`${user}b`)).network).toBe(`pipes-apps-${user}b`);
    expect((await network(`pipes-apps-${user}b`)).IPAM.Config[0]!.Subnet).toBe(OPTIONS.networkPool.replace('.0/24', '.64/26'));
  });

  it('says when the pool has no room', async () => {
    const self: OwnContainer = { id: await run(['/bin/sleep', '300']), networks: new Map() };
    const full = networks({ ...OPTIONS, networkPool: OPTIONS.networkPool.replace('/24', '/27') }, self);
    await expect(full.place(`${user}c`)).rejects.toThrow('NETWORK_POOL');
  });

  it('knows itself by what the kernel says in there', async () => {
    const id = await run(['/bin/sh', '-c', 'cat /proc/self/mountinfo; echo ----; cat /proc/self/cgroup']);
    await engineHttp(dockerHost, `/containers/${id}/wait`, { method: 'POST' });
    const output = (await engineHttp(dockerHost, `/containers/${id}/logs?stdout=true`)).body;
    // Only the ends of lines matter here, so the log's frames may stay in.
    const [mountinfo = '', cgroup = ''] = output.toString('latin1').replace(/[\u0001\u0002]\0\0\0[^]{4}/g, '').split('----');
    expect(candidateIds({ mountinfo, cgroup: '', hostname: '' })).toEqual([id]);
    expect(cgroup.includes(id) ? candidateIds({ mountinfo: '', cgroup, hostname: '' }) : [id]).toEqual([id]);
  });
});

it('tells own addresses from others, also when all is taken there', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  expect(await isOwnAddress('127.0.0.1')).toBe(true);
  expect(await isOwnAddress('203.0.113.7')).toBe(false);
  expect(await isOwnAddress('')).toBe(false);
  server.close();
});
