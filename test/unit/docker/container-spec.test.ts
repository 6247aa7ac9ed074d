import { describe, expect, it } from 'vitest';
import { BASE_CAPABILITIES, containerName, containerSpec, volumeName } from '../../../src/docker/container-spec.ts';
import { parseImageRef } from '../../../src/images/image-ref.ts';
import type { RunSpec } from '../../../src/instances/backend.ts';
import { effectiveConfig, type TargetConfig } from '../../../src/targets/target-config.ts';

function spec(config: TargetConfig = {}): RunSpec {
  const defaults = { memoryBytes: 512 * 2 ** 20, cpus: 1, pids: 512, startTimeoutMs: 1000, pull: 'missing', idle: { pauseMs: 1000, stopMs: 2000, removeMs: 3000 }, wait: 'auto' } as const;
  return {
    reference: { user: 'alice', repo: 'web', tag: 'v1.Main' },
    imageRef: parseImageRef('alice/web:v1.Main')!,
    image: { id: 'sha256:abc', digest: undefined, exposedPorts: [8080], sizeBytes: 1 },
    config: effectiveConfig(config, defaults),
    configHash: 'hash',
    port: 8080,
  };
}
const PLACE = { network: 'pipes-apps', reach: 'network' } as const;

describe('containerSpec', () => {
  it('sets limits, labels and network by default, and leaves to the image what it decides', () => {
    expect(containerSpec(spec(), 'me', PLACE)).toEqual({
      Image: 'docker.io/alice/web:v1.Main',
      Labels: { 'pipes.owner': 'me', 'pipes.reference': 'alice/web:v1.Main', 'pipes.config': 'hash', 'pipes.managed': 'true', 'pipes.port': '8080' },
      Env: [],
      ExposedPorts: { '8080/tcp': {} },
      HostConfig: {
        NetworkMode: 'pipes-apps',
        Mounts: [],
        Memory: 536870912,
        MemorySwap: 536870912,
        NanoCpus: 1e9,
        PidsLimit: 512,
        SecurityOpt: ['no-new-privileges'],
        CapDrop: ['ALL'],
        CapAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'],
        LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
        Init: true,
        RestartPolicy: { Name: 'no' },
      },
    });
  });

  it('takes everything else from the configuration', () => {
    const body = containerSpec(spec({ env: { A: '1=2', B: '' }, command: ['run'], entrypoint: ['/e'], user: '1:2', workdir: '/w', memory: '64m', cpus: 0.25, pids: 9, labels: { x: 'y' } }), 'me', PLACE);
    expect(body).toMatchObject({ Env: ['A=1=2', 'B='], Cmd: ['run'], Entrypoint: ['/e'], User: '1:2', WorkingDir: '/w', HostConfig: { Memory: 67108864, MemorySwap: 67108864, NanoCpus: 250_000_000, PidsLimit: 9 } });
    expect(body.Labels?.['x']).toBe('y');
  });

  it('adds the capabilities of the configuration to those that every container has, each once', () => {
    const { HostConfig } = containerSpec(spec({ capabilities: ['SYS_CHROOT', 'NET_RAW', 'CHOWN', 'NET_RAW'] }), 'me', PLACE);
    expect(HostConfig).toMatchObject({ CapDrop: ['ALL'], CapAdd: [...BASE_CAPABILITIES, 'NET_RAW', 'SYS_CHROOT'] });
  });

  it('publishes on loopback alone, and only where that is the way in', () => {
    expect(containerSpec(spec(), 'me', { ...PLACE, reach: 'publish' }).HostConfig?.PortBindings).toEqual({ '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] });
    expect(containerSpec(spec(), 'me', PLACE).HostConfig).not.toHaveProperty('PortBindings');
  });

  it('mounts own, external and host volumes', () => {
    const mounts = containerSpec(spec({ volumes: ['data:/data', 'external:shared:/s:ro', '/srv/x:/x'] }), 'me', PLACE).HostConfig?.Mounts;
    expect(mounts).toMatchObject([
      { Type: 'volume', Source: 'pipes..alice..web..data', Target: '/data', ReadOnly: false, VolumeOptions: { Labels: { 'pipes.managed': 'true' } } },
      { Type: 'volume', Source: 'shared', Target: '/s', ReadOnly: true },
      { Type: 'bind', Source: '/srv/x', Target: '/x', ReadOnly: false },
    ]);
  });
});

it('names containers and volumes so that people and programs find them', () => {
  const reference = { user: 'alice', repo: 'my_web', tag: 'V1' };
  expect(containerName(reference, '0a1b2c')).toBe('pipes-alice-my_web-V1-0a1b2c');
  expect(() => containerName(reference, 'xyz')).toThrow(TypeError);
  expect(volumeName(reference, 'data')).toBe('pipes..alice..my_web..data');
});
