import { describe, expect, it } from 'vitest';
import { candidateIds } from '../../../src/docker/own-container.ts';

const ID = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
const nothing = { mountinfo: '', cgroup: '', hostname: 'machine' };

describe('candidateIds', () => {
  it('reads the files that the engine mounts into its containers', () => {
    const mountinfo = [
      `613 592 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/x`,
      `629 613 254:0 /var/lib/docker/containers/${ID}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw`,
      `630 613 254:0 /var/lib/docker/containers/${ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw`,
    ].join('\n');
    expect(candidateIds({ ...nothing, mountinfo })).toEqual([ID]);
  });

  it('is not misled by what a host sees of its containers', () => {
    const mountinfo = `700 30 0:60 / /var/lib/docker/containers/${OTHER}/mounts/shm rw shared:1 - tmpfs shm rw\n701 30 8:1 /containers/${OTHER}/hostname /mnt/etc/hostname rw - ext4 /dev/vda rw`;
    expect(candidateIds({ ...nothing, mountinfo, cgroup: '0::/init.scope\n1:name=systemd:/' })).toEqual([]);
  });

  it.each([
    ['version 1', `12:pids:/docker/${ID}\n11:cpu:/docker/${ID}\n0::/system.slice`],
    ['version 2 with systemd', `0::/system.slice/docker-${ID}.scope`],
  ])('reads cgroups of %s', (_what, cgroup) => {
    expect(candidateIds({ ...nothing, cgroup })).toEqual([ID]);
  });

  it('takes a host name that looks like an id for a hint, the last', () => {
    expect(candidateIds({ mountinfo: '', cgroup: `1:cpu:/docker/${ID}`, hostname: '0123456789ab' })).toEqual([ID, '0123456789ab']);
    expect(candidateIds({ ...nothing, hostname: 'abc' })).toEqual([]);
  });
});
