import { describe, expect, it } from 'vitest';
import { ConfigRights, type FarReachingConfig } from '../../../../src/security/api/config-rights.ts';
import { Policy } from '../../../../src/security/proxy/policy.ts';
import type { Principal } from '../../../../src/security/api/principal.ts';
import { parseScope } from '../../../../src/security/api/scopes.ts';

const holder = (scope: string): Principal => ({ name: 'x', scopes: [parseScope(scope)!] });
const policy = Policy.from('alice/*,library/*', 'alice/secret')!;
const bounds = { memoryBytes: 2 * 2 ** 30, cpus: 4, pids: 2048, readinessMs: 600_000 };
const hub = new ConfigRights(policy, { registry: 'docker.io', prefix: '' }, bounds);
const own = new ConfigRights(policy, { registry: 'registry.example:5000', prefix: 'team/apps' }, bounds);

const missing = (rights: ConfigRights, scope: string, next: FarReachingConfig, present: FarReachingConfig = {}): string[] =>
  rights.missing(holder(scope), present, next).map(({ path }) => path);

describe('ConfigRights', () => {
  it('lets deployers write what stays with their target', () => {
    expect(missing(hub, 'deploy:alice', { volumes: ['data:/data', 'logs:/logs:ro'] })).toEqual([]);
  });

  it('names host paths, volumes of others and labels', () => {
    expect(missing(hub, 'deploy:*', { volumes: ['a:/a', '/etc:/etc:ro', 'external:db:/b'], labels: { x: '1', y: '2' } })).toEqual(['volumes[1]', 'volumes[2]', 'labels.x', 'labels.y']);
  });

  it('lets administrators write all of it', () => {
    expect(missing(hub, 'admin', { volumes: ['/:/host'], labels: { x: '1' }, image: 'evil.example/x/y', capabilities: ['SYS_ADMIN'], memory: '1t', cpus: 64, pids: 1_000_000, readiness: { timeout: '5d' } })).toEqual([]);
  });

  it('names each capability that is not there already', () => {
    expect(missing(hub, 'deploy:alice', { capabilities: ['NET_RAW', 'SYS_ADMIN'] }, { capabilities: ['NET_RAW'] })).toEqual(['capabilities[1]']);
    expect(missing(hub, 'deploy:alice', { capabilities: [] }, { capabilities: ['NET_RAW'] })).toEqual([]);
  });

  it('bounds what deployers may take of the machine', () => {
    expect(missing(hub, 'deploy:alice', { memory: '2g', cpus: 4, pids: 2048, readiness: { timeout: '10m' } })).toEqual([]);
    const beyond = { memory: '2049m', cpus: 4.01, pids: 2049, readiness: { timeout: '601s' } };
    expect(missing(hub, 'deploy:alice', beyond)).toEqual(['memory', 'cpus', 'pids', 'readiness.timeout']);
    expect(hub.missing(holder('deploy:alice'), {}, { memory: '3g' })[0]?.message).toBe('more than 2048m needs an admin token');
    expect(missing(hub, 'deploy:alice', beyond, beyond)).toEqual([]);
    expect(missing(hub, 'deploy:alice', { memory: '4g' }, beyond)).toEqual(['memory']);
  });

  it('bounds nothing where the settings say off', () => {
    const unbounded = new ConfigRights(policy, { registry: 'docker.io', prefix: '' }, { memoryBytes: Infinity, cpus: Infinity, pids: Infinity, readinessMs: Infinity });
    expect(missing(unbounded, 'deploy:alice', { memory: '1t', cpus: 1024, pids: 1_000_000, readiness: { timeout: '9d' } })).toEqual([]);
  });

  it('does not ask again for what an administrator wrote, but for every change of it', () => {
    const present = { volumes: ['/srv:/srv:ro'], labels: { x: '1' }, image: 'bob/web:1' };
    expect(missing(hub, 'deploy:alice', present, present)).toEqual([]);
    expect(missing(hub, 'deploy:alice', { volumes: ['/srv:/srv'], labels: { x: '2' }, image: 'bob/web:2' }, present)).toEqual(['volumes[0]', 'labels.x', 'image']);
    expect(missing(hub, 'deploy:alice', {}, present)).toEqual([]);
  });

  it.each([
    ['alice/other:1', true],
    ['docker.io/alice/other', true],
    ['alice/secret', false], // DENY
    ['bob/web', false], // beyond the scope
    ['ghcr.io/alice/other', false], // another registry
    ['nginx', false], // library is not the caller's
    ['alice/a/b', false], // no host means this
  ])('image %s for deploy:alice is %s', (image, expected) => {
    expect(missing(hub, 'deploy:alice', { image }).length === 0).toBe(expected);
  });

  it.each([
    ['registry.example:5000/team/apps/alice/web', true],
    ['registry.example:5000/alice/web', false],
    ['registry.example:5000/team/apps/alice/a/b', false],
    ['alice/web', false],
    ['nginx', true],
    ['registry.example:5000/team/apps/library/nginx', false], // the user library is Docker Hub's
  ])('with a registry of one\'s own and a prefix, image %s for deploy:* is %s', (image, expected) => {
    expect(missing(own, 'deploy:*', { image }).length === 0).toBe(expected);
  });
});
