import { describe, expect, it } from 'vitest';
import { parseImageRef, parseRegistryBase } from '../../../src/images/image-ref.ts';

describe('image names that engines refuse', () => {
  it.each(['a..b/alice/web', 'x:99999/alice/web', '-a.b/alice/web', `docker.io/${'a'.repeat(300)}`, `alice/${'a/'.repeat(130)}web`])('%s is none', (name) => {
    expect(parseImageRef(name)).toBeUndefined();
  });
  it('are as long as they may be', () => {
    expect(parseImageRef(`docker.io/alice/${'a'.repeat(255 - 'docker.io/alice/'.length)}`)).toBeDefined();
    expect(parseImageRef(`docker.io/alice/${'a'.repeat(256 - 'docker.io/alice/'.length)}`)).toBeUndefined();
  });
});

describe('REGISTRY', () => {
  it.each(['registry', 'registry/team', 'https://registry/'])('%s would be a user of Docker Hub for Docker, so it is none', (text) => {
    expect(parseImageRef('registry/alice/web')).toMatchObject({ registry: 'docker.io' });
    expect(parseRegistryBase(text)).toBeUndefined();
  });
  it.each(['localhost', 'registry:5000', 'registry.lan/team', 'docker.io', 'index.docker.io', '[::1]:5000'])('%s is one', (text) => {
    expect(parseRegistryBase(text)).toBeDefined();
  });
});
