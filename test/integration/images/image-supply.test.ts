import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BoundedQueue } from '../../../src/core/bounded-queue.ts';
import { DockerImages } from '../../../src/docker/docker-images.ts';
import { EngineClient } from '../../../src/docker/client.ts';
import { parseImageRef, type ImageRef } from '../../../src/images/image-ref.ts';
import { ImageSupply } from '../../../src/images/image-supply.ts';
import { RegistryClient } from '../../../src/images/registry-client.ts';
import { FixtureImages } from '../../lab/images.ts';
import { useLab } from '../../lab/lab.ts';
import { startRegistry, type Registry } from '../../lab/registry.ts';

const lab = useLab();
const fixtures = new FixtureImages(lab.dockerHost);
const store = new DockerImages(new EngineClient({ host: lab.dockerHost }));
const repository = `supply${randomBytes(4).toString('hex')}/web`;
const ALL = ['V1', 'v2', 'v3', 'V3', 'only-here', 'Local'];
let registry: Registry;

function supply(pullTimeoutMs = 60_000): ImageSupply {
  const queue = new BoundedQueue({ name: 'pulls', concurrency: 3, waitingLimit: 100 });
  return new ImageSupply({ store, registry: new RegistryClient({ timeoutMs: 2_000 }), logins: { loginFor: async () => await Promise.resolve(undefined) }, queue, pullTimeoutMs });
}
function ref(tag: string): ImageRef {
  return parseImageRef(`${registry.host}/${repository}:${tag}`)!;
}
function name(tag: string): string {
  return `${registry.host}/${repository}:${tag}`;
}
const pullsSeen = () => registry.output().split('\n').filter((line) => line.includes('GET') && line.includes(`/v2/${repository}/blobs/`)).length;

beforeAll(async () => {
  registry = await startRegistry({ labDir: lab.dir });
  for (const tag of ['V1', 'v2', 'V3', 'v3']) await fixtures.publish(name(tag), { from: 'tiny', env: { VERSION: tag } });
});
beforeEach(async () => {
  for (const tag of ALL) await fixtures.remove(name(tag));
});
afterAll(async () => {
  for (const tag of ALL) await fixtures.remove(name(tag));
  await registry.stop();
});

describe('ImageSupply on a real engine and registry', () => {
  it('pulls once for two hundred who ask at the same time', async () => {
    const one = supply();
    const before = pullsSeen();
    const all = await Promise.all(Array.from({ length: 200 }, async () => await one.ensure(ref('v2'), 'missing')));
    expect(new Set(all.map(({ image }) => image.id)).size).toBe(1);
    const blobs = pullsSeen() - before;
    await fixtures.remove(name('v2'));
    const again = pullsSeen();
    await one.ensure(ref('v2'), 'missing');
    expect(blobs).toBeGreaterThan(0);
    expect(blobs).toBe(pullsSeen() - again);
  });

  it('takes the one tag that differs by case, from the registry and from here', async () => {
    expect((await supply().ensure(ref('v1'), 'missing')).ref.tag).toBe('V1');
    await fixtures.build(name('Local'), { from: 'tiny', env: { VERSION: 'local' } });
    expect((await supply().ensure(ref('local'), 'missing')).ref.tag).toBe('Local');
    expect((await supply().ensure(ref('local'), 'never')).ref.tag).toBe('Local');
  });

  it('takes the tag as written where it exists, and names both of two others', async () => {
    expect((await supply().ensure(ref('v3'), 'missing')).ref.tag).toBe('v3');
    expect((await supply().ensure(ref('V3'), 'missing')).ref.tag).toBe('V3');
    await fixtures.build(name('v1'), { from: 'tiny', env: { VERSION: 'other' } });
    const asked = ref('V1');
    expect((await supply().ensure(asked, 'missing')).ref.tag).toBe('V1');
    await fixtures.remove(name('v1'));
    await fixtures.build(name('LATEST'), { from: 'tiny' });
    await fixtures.build(name('Latest'), { from: 'tiny' });
    await expect(supply().ensure(ref('latest'), 'missing')).rejects.toMatchObject({ code: 'tag_ambiguous', members: { candidates: [name('LATEST'), name('Latest')] } });
    await fixtures.remove(name('LATEST'));
    await fixtures.remove(name('Latest'));
  });

  it('remembers that there is no such image until told to forget', async () => {
    const one = supply();
    await expect(one.ensure(ref('only-here'), 'missing')).rejects.toMatchObject({ code: 'image_not_found', retryAfterS: 30 });
    await fixtures.publish(name('only-here'), { from: 'tiny' });
    await expect(one.ensure(ref('only-here'), 'missing')).rejects.toMatchObject({ code: 'image_not_found' });
    one.forget(ref('only-here'));
    expect((await one.ensure(ref('only-here'), 'missing')).ref.tag).toBe('only-here');
  });

  it('gives up a pull that takes too long, and serves what is here while the registry is silent or down', async () => {
    await fixtures.build(name('Local'), { from: 'tiny', env: { VERSION: 'local' } });
    registry.freeze();
    try {
      await expect(supply(300).ensure(ref('v2'), 'missing')).rejects.toMatchObject({ code: 'pull_timeout' });
    } finally {
      registry.thaw();
    }
    await registry.stop();
    try {
      expect((await supply().ensure(ref('Local'), 'always')).ref.tag).toBe('Local');
      expect((await supply().ensure(ref('local'), 'missing')).ref.tag).toBe('Local');
      await expect(supply().ensure(ref('v2'), 'missing')).rejects.toMatchObject({ code: 'registry_unavailable' });
    } finally {
      await registry.start();
    }
  });
});
