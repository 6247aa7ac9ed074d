import { describe, expect, it } from 'vitest';
import { engineHttp } from '../../lab/engine-http.ts';
import { FixtureImages } from '../../lab/images.ts';
import { useLab } from '../../lab/lab.ts';
import { until } from '../../lab/until.ts';

const lab = useLab();
const images = new FixtureImages(lab.dockerHost);

describe('fixture images', () => {
  it('differ in digest as they differ in what they are made of, and can be pulled', async () => {
    const name = `${lab.openRegistry}/lab/images`;
    const one = await images.publish(`${name}:one`, { from: 'tiny', env: { VERSION: '1' } });
    const two = await images.publish(`${name}:two`, { from: 'tiny', env: { VERSION: '2' } });
    expect(one).toMatch(/^sha256:/);
    expect(two).not.toBe(one);
    expect(await images.id(`${name}:one`)).toBeUndefined();
    await engineHttp(lab.dockerHost, `/images/create?fromImage=${encodeURIComponent(name)}&tag=one`, { method: 'POST' });
    expect(await images.id(`${name}:one`)).toMatch(/^sha256:/);
  });

  it('can be pushed to the registry with a login by that login alone', async () => {
    const { host, username, password } = lab.authRegistry;
    const name = `${host}/lab/secret:1`;
    await images.build(name, { from: 'tiny' });
    await expect(images.push(name)).rejects.toThrow(/no basic auth|unauthorized|authentication/i);
    expect(await images.push(name, { username, password })).toMatch(/^sha256:/);
    await images.remove(name);
  });

  it('carry mimic, which serves on its port', async () => {
    const name = `${lab.openRegistry}/lab/mimic:1`;
    await images.build(name, { from: 'mimic', env: { VERSION: '7' } });
    const created = await engineHttp(lab.dockerHost, '/containers/create', { method: 'POST', body: { Image: name } });
    const { Id: id } = created.json() as { Id: string };
    try {
      await engineHttp(lab.dockerHost, `/containers/${id}/start`, { method: 'POST' });
      const inspected = (await engineHttp(lab.dockerHost, `/containers/${id}/json`)).json() as { NetworkSettings: { IPAddress: string } };
      const answer = await until('mimic answers', async () => await fetch(`http://${inspected.NetworkSettings.IPAddress}/`).then((got) => got.text(), () => undefined));
      expect(answer).toBe('mimic 7\n');
    } finally {
      await engineHttp(lab.dockerHost, `/containers/${id}?force=true`, { method: 'DELETE' });
      await images.remove(name);
    }
  });
});
