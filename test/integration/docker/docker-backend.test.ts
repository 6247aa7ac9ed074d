import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/core/log.ts';
import { DockerBackend } from '../../../src/docker/docker-backend.ts';
import { DockerImages } from '../../../src/docker/docker-images.ts';
import { EngineClient } from '../../../src/docker/client.ts';
import { volumeName } from '../../../src/docker/container-spec.ts';
import { parseImageRef, type ImageRef } from '../../../src/images/image-ref.ts';
import type { RunSpec } from '../../../src/instances/backend.ts';
import { effectiveConfig, type TargetConfig } from '../../../src/targets/target-config.ts';
import type { Reference } from '../../../src/targets/reference.ts';
import { describeBackend } from '../../contract/backend.ts';
import { engineHttp } from '../../lab/engine-http.ts';
import { FixtureImages, type ImageRecipe } from '../../lab/images.ts';
import { useLab } from '../../lab/lab.ts';
import { until } from '../../lab/until.ts';

const { dockerHost } = useLab();
const fixtures = new FixtureImages(dockerHost);
/** Nobody else's images and containers are called so. */
const user = `backend${randomBytes(4).toString('hex')}`;
const client = new EngineClient({ host: dockerHost });
const images = new DockerImages(client);

const RECIPES: Record<string, ImageRecipe> = {
  serves: { from: 'tiny' },
  exits: { from: 'tiny', command: ['/bin/sh', '-c', 'echo one; echo two; echo three; exit 3'] },
  unrunnable: { from: 'tiny', command: ['/bin/not-there'] },
};
const DEFAULTS = { memoryBytes: 64 * 2 ** 20, cpus: 0.5, pids: 64, startTimeoutMs: 10_000, pull: 'missing', idle: { pauseMs: 1000, stopMs: 2000, removeMs: 3000 }, wait: 'auto' } as const;

function ref(name: string): ImageRef {
  return parseImageRef(`${user}/${name}:main`)!;
}

async function spec(reference: Reference, image: string, config: TargetConfig = {}): Promise<RunSpec> {
  const local = await images.find(ref(image));
  return { reference, imageRef: ref(image), image: local!, config: effectiveConfig(config, DEFAULTS), configHash: 'abc', port: 80 };
}

function backendOf(upstream: 'auto' | 'network' | 'publish' = 'auto', owner = randomBytes(8).toString('hex'), isolate = true): DockerBackend {
  return new DockerBackend({ client, owner, networks: { isolate, network: undefined, networkPool: '10.213.0.0/16', upstream }, egress: { egress: 'all', openPorts: [] }, log: silentLog });
}

/** Where a person put the containers that were started by hand. */
const handNetwork = `hand-${user}`;

beforeAll(async () => {
  await engineHttp(dockerHost, '/networks/create', { method: 'POST', body: { Name: handNetwork } });
  for (const [name, recipe] of Object.entries(RECIPES)) await fixtures.build(`${user}/${name}:main`, recipe);
});
afterAll(async () => {
  const left = (await engineHttp(dockerHost, '/containers/json?all=true')).json() as { Id: string; Image: string }[];
  for (const { Id, Image } of left) if (Image.includes(user)) await engineHttp(dockerHost, `/containers/${Id}?force=true&v=true`, { method: 'DELETE' });
  await engineHttp(dockerHost, `/networks/${handNetwork}`, { method: 'DELETE' });
  for (const name of Object.keys(RECIPES)) await fixtures.remove(`${user}/${name}:main`);
});

for (const upstream of ['network', 'publish'] as const) {
  describeBackend(`Docker (${upstream})`, async () => await Promise.resolve({
    backend: backendOf(upstream),
    spec: async (reference, behaviour) => await spec(reference, behaviour),
    close: async () => await Promise.resolve(),
  }));
}

describe('DockerBackend', () => {
  const reference: Reference = { user, repo: 'web', tag: 'Main' };
  const cleanup: string[] = [];
  afterEach(async () => {
    for (const id of cleanup.splice(0)) await engineHttp(dockerHost, `/containers/${id}?force=true&v=true`, { method: 'DELETE' });
  });

  async function run(backend: DockerBackend, config: TargetConfig = {}, image = 'serves'): Promise<string> {
    const id = await backend.create(await spec(reference, image, config));
    cleanup.push(id);
    await backend.start(id);
    return id;
  }

  const serving = { Image: `${user}/serves:main`, HostConfig: { NetworkMode: handNetwork } };

  async function byHand(body: object): Promise<string> {
    const made = await engineHttp(dockerHost, '/containers/create', { method: 'POST', body });
    const { Id } = made.json() as { Id: string };
    cleanup.push(Id);
    const started = await engineHttp(dockerHost, `/containers/${Id}/start`, { method: 'POST' });
    if (started.status !== 204) throw new Error(started.text());
    return Id;
  }

  async function fetchOnce(upstream: { host: string; port: number }): Promise<string> {
    return await until('the container answers', async () => await fetch(`http://${upstream.host}:${upstream.port}/`).then(async (answer) => await answer.text(), () => undefined));
  }

  it.each(['network', 'publish', 'auto'] as const)('is reached over UPSTREAM=%s', async (upstream) => {
    const backend = backendOf(upstream);
    const id = await run(backend);
    const observed = await backend.inspect(id);
    expect(await fetchOnce(observed!.upstream!)).toBe('tiny\n');
    expect(backend.acceptsBeforeReady).toBe(upstream === 'publish');
    if (upstream === 'publish') expect(observed!.upstream!.host).toBe('127.0.0.1');
    else expect(observed!.upstream!.port).toBe(80);
  });

  it('keeps containers from reaching each other, and the host can reach both', async () => {
    const backend = backendOf();
    const first = await backend.inspect(await run(backend));
    const second = await run(backend);
    const target = first!.upstream!;
    expect(await fetchOnce(target)).toBe('tiny\n');
    const exec = async (command: string[]) => {
      const made = (await engineHttp(dockerHost, `/containers/${second}/exec`, { method: 'POST', body: { Cmd: command, AttachStdout: true, AttachStderr: true } })).json() as { Id: string };
      await engineHttp(dockerHost, `/exec/${made.Id}/start`, { method: 'POST', body: {} });
      return ((await engineHttp(dockerHost, `/exec/${made.Id}/json`)).json() as { ExitCode: number }).ExitCode;
    };
    // The same question to itself shows that it is the network that refuses, not the tool.
    const connect = (host: string) => ['/bin/sh', '-c', `echo | nc -w 2 ${host} 80`];
    expect(await exec(connect('127.0.0.1'))).toBe(0);
    expect(await exec(connect(target.host))).not.toBe(0);
  });

  it('sets limits, labels, environment and command, and keeps named volumes over replacement', async () => {
    const backend = backendOf();
    const config: TargetConfig = { env: { GREETING: 'hi there' }, volumes: ['data:/data'], labels: { 'my.label': 'x' }, workdir: '/tmp', user: '12:34', command: ['/bin/sh', '-c', 'echo $GREETING; pwd; exec sleep 60'] };
    const id = await run(backend, config);
    const info = (await engineHttp(dockerHost, `/containers/${id}/json`)).json() as { Name: string; HostConfig: Record<string, unknown>; Config: { Labels: Record<string, string>; User: string }; Mounts: { Name: string; Destination: string }[] };
    expect(info.Name).toMatch(new RegExp(`^/pipes-${user}-web-Main-[0-9a-f]{6}$`));
    expect(info.HostConfig).toMatchObject({ Memory: DEFAULTS.memoryBytes, MemorySwap: DEFAULTS.memoryBytes, NanoCpus: 5e8, PidsLimit: 64, SecurityOpt: ['no-new-privileges'], Init: true, RestartPolicy: { Name: 'no' } });
    expect(info.HostConfig['LogConfig']).toEqual({ Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } });
    expect(info.Config.Labels).toMatchObject({ 'my.label': 'x', 'pipes.managed': 'true', 'pipes.reference': `${user}/web:Main`, 'pipes.port': '80' });
    expect(info.Config.User).toBe('12:34');
    expect(info.Mounts).toMatchObject([{ Name: volumeName(reference, 'data'), Destination: '/data' }]);
    expect(await until('it writes', async () => { const lines = await backend.lastLines(id, 10); return lines.length === 2 && lines; })).toEqual(['hi there', '/tmp']);
    await backend.remove(id);
    const volume = await engineHttp(dockerHost, `/volumes/${volumeName(reference, 'data')}`);
    expect(volume.status).toBe(200);
    await engineHttp(dockerHost, `/volumes/${volumeName(reference, 'data')}`, { method: 'DELETE' });
  });

  it('reads both streams of the output', async () => {
    const backend = backendOf();
    const id = await run(backend, { command: ['/bin/sh', '-c', 'echo out; echo err >&2; exec sleep 60'] });
    expect(await until('it writes both', async () => { const lines = await backend.lastLines(id, 10); return lines.length === 2 && lines.sort(); })).toEqual(['err', 'out']);
  });

  it('lists its own alone, and counts the containers of other owners', async () => {
    const mine = backendOf();
    const other = backendOf();
    const id = await run(mine);
    const others = await run(other);
    expect((await mine.list()).map((one) => one.id)).toEqual([id]);
    expect((await other.list()).map((one) => one.id)).toEqual([others]);
    expect(await mine.foreignOwners()).toBeGreaterThanOrEqual(1);
    expect((await mine.inspect(others))?.managed).toBe(false);
  });

  it('finds a container started by hand, the oldest first, unless it says to ignore it', async () => {
    const backend = backendOf();
    const imageRef = ref('serves');
    const ignored = await byHand({ ...serving, Labels: { 'pipes.ignore': 'true' } });
    expect(await backend.findForeign(reference, imageRef, undefined)).toBeUndefined();
    const found = await byHand(serving);
    await byHand(serving);
    const observed = await backend.findForeign(reference, imageRef, undefined);
    expect(observed).toMatchObject({ id: found, managed: false, state: 'running', reference: `${user}/web:Main` });
    expect(observed!.id).not.toBe(ignored);
    expect(await fetchOnce(observed!.upstream!)).toBe('tiny\n');
    // Looked at again by its id it is still the same, with its address.
    expect(await backend.inspect(found)).toMatchObject({ managed: false, reference: `${user}/web:Main`, upstream: observed!.upstream });
  });

  it('finds one by its image\'s bits, and on the host\'s network', async () => {
    const backend = backendOf();
    await fixtures.tag(`${user}/serves:main`, `${user}/alias:main`);
    const id = await byHand({ Image: `${user}/alias:main`, HostConfig: { NetworkMode: 'host' }, Cmd: ['/bin/sleep', '60'] });
    expect(await backend.findForeign(reference, ref('serves'), 4711)).toMatchObject({ id, upstream: { host: '127.0.0.1', port: 4711 } });
    await fixtures.remove(`${user}/alias:main`);
  });

  it('needs two calls to the engine to create and start once the place is known', async () => {
    const backend = backendOf();
    const warm = await spec(reference, 'serves');
    cleanup.push(await backend.create(warm));
    const before = client.callCount;
    const id = await backend.create(warm);
    cleanup.push(id);
    await backend.start(id);
    expect(client.callCount - before).toBe(2);
  });

  it('says that an image without a command, or one that was removed, cannot be run', async () => {
    const backend = backendOf();
    await fixtures.build(`${user}/empty:main`, { from: 'empty' });
    await expect(backend.create(await spec(reference, 'empty'))).rejects.toMatchObject({ code: 'image_unusable' });
    const gone = await spec(reference, 'empty');
    await fixtures.remove(`${user}/empty:main`);
    await expect(backend.create(gone)).rejects.toMatchObject({ code: 'image_not_found' });
  });

  it('starts a container whose network was pruned while it slept', async () => {
    const network = `pipes-test-${user}`;
    const make = async () => await engineHttp(dockerHost, '/networks/create', { method: 'POST', body: { Name: network } });
    await make();
    const backend = new DockerBackend({ client, owner: 'prune', networks: { isolate: false, network, networkPool: '10.213.0.0/16', upstream: 'network' }, egress: { egress: 'all', openPorts: [] }, log: silentLog });
    const id = await run(backend);
    await backend.stop(id, 1);
    await engineHttp(dockerHost, `/networks/${network}`, { method: 'DELETE' });
    await expect(backend.start(id)).rejects.toMatchObject({ code: 'engine_unavailable' });
    await make();
    await backend.start(id);
    expect(await fetchOnce((await backend.inspect(id))!.upstream!)).toBe('tiny\n');
    await backend.remove(id);
    await engineHttp(dockerHost, `/networks/${network}`, { method: 'DELETE' });
  });
});
