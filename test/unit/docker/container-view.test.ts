import type { ContainerInspectInfo } from 'dockerode';
import { describe, expect, it } from 'vitest';
import { observeManaged, publishedPort } from '../../../src/docker/container-view.ts';

interface Facts {
  readonly status?: string;
  readonly ports?: Record<string, { HostIp: string; HostPort: string }[] | null>;
  readonly address?: string;
}

/** What the engine answers to an inspect, as far as it is read. */
function info({ status = 'running', ports = {}, address = '172.20.0.5' }: Facts = {}): ContainerInspectInfo {
  return {
    Id: 'abc',
    Image: 'sha256:1',
    State: { Status: status, ExitCode: 7, OOMKilled: false, StartedAt: '2026-01-02T03:04:05.678901234Z', FinishedAt: '0001-01-01T00:00:00Z' },
    Config: { Image: 'docker.io/alice/web:main', Labels: { 'pipes.reference': 'alice/web:main', 'pipes.port': '8080', 'pipes.config': 'hash' } },
    NetworkSettings: { Ports: ports, Networks: { 'pipes-apps': { IPAddress: address } } },
  } as unknown as ContainerInspectInfo;
}
const PUBLISHED = { '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '49153' }] };

describe('observeManaged', () => {
  it('reads what the rest of pipes wants to know', () => {
    expect(observeManaged(info(), false)).toMatchObject({
      id: 'abc',
      reference: 'alice/web:main',
      managed: true,
      state: 'running',
      exitCode: undefined,
      startedAt: new Date('2026-01-02T03:04:05.678Z'),
      finishedAt: undefined,
      imageId: 'sha256:1',
      imageRef: 'docker.io/alice/web:main',
      configHash: 'hash',
      upstream: { host: '172.20.0.5', port: 8080 },
    });
  });

  it.each([
    ['created', 'created', false],
    ['running', 'running', true],
    ['paused', 'paused', true],
    ['restarting', 'exited', false],
    ['exited', 'exited', false],
    ['dead', 'exited', false],
  ])('takes %s for %s', (status, state, isReachable) => {
    const observed = observeManaged(info({ status }), false);
    expect(observed?.state).toBe(state);
    expect(observed?.upstream !== undefined).toBe(isReachable);
    expect(observed?.exitCode).toBe(state === 'exited' ? 7 : undefined);
  });

  it('takes one that is being removed for gone', () => {
    expect(observeManaged(info({ status: 'removing' }), false)).toBeUndefined();
  });

  it('goes through the published port on the host, and never from inside a container', () => {
    expect(observeManaged(info({ ports: PUBLISHED }), false)?.upstream).toEqual({ host: '127.0.0.1', port: 49153 });
    expect(observeManaged(info({ ports: PUBLISHED }), true)?.upstream).toEqual({ host: '172.20.0.5', port: 8080 });
    expect(observeManaged(info({ ports: { '8080/tcp': null }, address: '' }), false)?.upstream).toBeUndefined();
  });
});

it('finds a published port only on the addresses asked for', () => {
  const ports = { '80/tcp': [{ HostIp: '::', HostPort: '1' }, { HostIp: '192.0.2.1', HostPort: '2' }, { HostIp: '0.0.0.0', HostPort: '3' }] };
  expect(publishedPort(info({ ports }), 80, ['127.0.0.1', '0.0.0.0'])).toBe(3);
  expect(publishedPort(info({ ports }), 80, ['127.0.0.1'])).toBeUndefined();
  expect(publishedPort(info({ ports }), 81, ['0.0.0.0'])).toBeUndefined();
});

describe('what no engine says', () => {
  it.each(['constructor', '__proto__', 'toString', ''])('is no state: %j', (status) => {
    expect(observeManaged(info({ status }), false)).toBeUndefined();
  });

  it('is no time', () => {
    const odd = info({ status: 'exited' });
    Object.assign(odd.State, { StartedAt: 'soon', FinishedAt: '' });
    expect(observeManaged(odd, false)).toMatchObject({ startedAt: undefined, finishedAt: undefined });
  });

  it('is no way in', () => {
    expect(observeManaged(info({ address: 'http://elsewhere' }), false)?.upstream).toBeUndefined();
    expect(publishedPort(info({ ports: { '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '99999' }] } }), 8080, ['127.0.0.1'])).toBeUndefined();
    const odd = info();
    odd.Config.Labels['pipes.port'] = 'many';
    expect(observeManaged(odd, false)?.upstream).toBeUndefined();
  });
});
