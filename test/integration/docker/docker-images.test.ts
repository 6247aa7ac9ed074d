import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineClient } from '../../../src/docker/client.ts';
import { DockerImages } from '../../../src/docker/docker-images.ts';
import { parseImageRef, type ImageRef } from '../../../src/images/image-ref.ts';
import type { LayerProgress } from '../../../src/images/image-store.ts';
import { RegistryClient } from '../../../src/images/registry-client.ts';
import { freePort } from '../../lab/free-port.ts';
import { FixtureImages } from '../../lab/images.ts';
import { useLab } from '../../lab/lab.ts';

const { dockerHost, openRegistry, authRegistry } = useLab();
const fixtures = new FixtureImages(dockerHost);
const images = new DockerImages(new EngineClient({ host: dockerHost }));
const user = `images${randomBytes(4).toString('hex')}`;
const login = { registry: authRegistry.host, username: authRegistry.username, password: authRegistry.password };
const forever = new AbortController().signal;
let digest: string;

function ref(host: string, tag = 'main', repo = 'web'): ImageRef {
  return parseImageRef(`${host}/${user}/${repo}:${tag}`)!;
}
async function pull(image: ImageRef, withLogin?: typeof login): Promise<LayerProgress[][]> {
  const told: LayerProgress[][] = [];
  await images.pull(image, withLogin, (layers) => told.push([...layers]), forever);
  return told;
}
async function drop(image: ImageRef): Promise<void> {
  await fixtures.remove(`${image.registry}/${image.repository}:${image.tag}`);
}

beforeAll(async () => {
  digest = await fixtures.publish(`${openRegistry}/${user}/web:main`, { from: 'tiny', expose: ['8080', '81', '53/udp'], ballastBytes: 3_000_000 });
  await fixtures.publish(`${openRegistry}/${user}/web:Other`, { from: 'tiny', env: { A: '1' } });
  await fixtures.publish(`${authRegistry.host}/${user}/web:main`, { from: 'tiny', env: { B: '1' } }, authRegistry);
});
afterAll(async () => {
  for (const image of [ref(openRegistry), ref(openRegistry, 'Other'), ref(authRegistry.host)]) await drop(image);
});

describe('DockerImages', () => {
  it('pulls with progress per layer, and then has the image with its digest and TCP ports', async () => {
    const image = ref(openRegistry);
    expect(await images.find(image)).toBeUndefined();
    expect(await images.localTags(image)).toEqual([]);
    const told = await pull(image);
    const last = told.at(-1)!;
    expect(last.length).toBeGreaterThan(1);
    expect(last.every((layer) => layer.phase === 'done')).toBe(true);
    expect(told.some((layers) => layers.some((layer) => layer.phase === 'downloading' && (layer.totalBytes ?? 0) > 1_000_000))).toBe(true);
    const found = await images.find(image);
    expect(found).toMatchObject({ digest, exposedPorts: [81, 8080] });
    expect(found!.sizeBytes).toBeGreaterThan(3_000_000);
    expect(await images.localTags(image)).toEqual(['main']);
    expect(await images.find({ ...image, tag: 'Main' })).toBeUndefined();
    await drop(image);
  });

  it('pulls a digest', async () => {
    const image: ImageRef = { ...ref(openRegistry), digest };
    await pull(image);
    expect((await images.find(image))?.digest).toBe(digest);
    await fixtures.remove(`${openRegistry}/${user}/web@${digest}`);
  });

  it.each([
    ['a missing tag', () => ref(openRegistry, 'nope'), undefined, 'image_not_found'],
    ['a missing repository', () => ref(openRegistry, 'main', 'nope'), undefined, 'image_not_found'],
    ['no login where one is needed', () => ref(authRegistry.host), undefined, 'registry_denied'],
    ['a wrong login', () => ref(authRegistry.host), { ...login, password: 'wrong' }, 'registry_denied'],
  ] as const)('names %s', async (_what, image, withLogin, code) => {
    await expect(pull(image(), withLogin)).rejects.toMatchObject({ name: 'PipesError', code });
  });

  it('names a registry that is down', async () => {
    await expect(pull(ref(`127.0.0.1:${await freePort()}`))).rejects.toMatchObject({ code: 'registry_unavailable' });
  });

  it('uses the login', async () => {
    await pull(ref(authRegistry.host), login);
    expect(await images.find(ref(authRegistry.host))).toBeDefined();
  });

  it('ends a pull when its signal fires', async () => {
    const leaving = new AbortController();
    const pulled = images.pull(ref(openRegistry), undefined, () => leaving.abort(new Error('enough')), leaving.signal);
    await expect(pulled).rejects.toThrow('enough');
  });
});

describe('RegistryClient', () => {
  const registry = new RegistryClient();

  it('tells tags and digests as the registry has them', async () => {
    expect((await registry.tags(ref(openRegistry), undefined, forever)).sort()).toEqual(['Other', 'main']);
    expect(await registry.digest(ref(openRegistry), undefined, forever)).toBe(digest);
    expect(await registry.tags(ref(authRegistry.host), login, forever)).toEqual(['main']);
  });

  it('names what is missing, denied or down', async () => {
    await expect(registry.tags(ref(openRegistry, 'main', 'nope'), undefined, forever)).rejects.toMatchObject({ code: 'image_not_found' });
    await expect(registry.digest(ref(openRegistry, 'nope'), undefined, forever)).rejects.toMatchObject({ code: 'image_not_found' });
    await expect(registry.tags(ref(authRegistry.host), undefined, forever)).rejects.toMatchObject({ code: 'registry_denied' });
    await expect(registry.tags(ref(authRegistry.host), { ...login, password: 'wrong' }, forever)).rejects.toMatchObject({ code: 'registry_denied' });
    await expect(registry.tags(ref(`127.0.0.1:${await freePort()}`), undefined, forever)).rejects.toMatchObject({ code: 'registry_unavailable' });
  });
});
