import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineAnswers, engineHttp } from '../../lab/engine-http.ts';
import { engineObstacle, startEngine, type Engine } from '../../lab/engine.ts';
import { FixtureImages } from '../../lab/images.ts';
import { useLab } from '../../lab/lab.ts';

const obstacle = engineObstacle();

// The name carries the reason to the list of skipped tests.
describe.skipIf(obstacle !== undefined)(`a private engine${obstacle === undefined ? '' : ` (${obstacle})`}`, () => {
  let engine: Engine;

  beforeAll(async () => {
    engine = await startEngine({ labDir: useLab().dir });
  });
  afterAll(async () => await engine.close());

  it('runs a container that survives the engine being killed, but not its being stopped', async () => {
    const images = new FixtureImages(engine.dockerHost);
    await images.build('lab/sleeper:1', { from: 'tiny', command: ['sleep', '600'] });
    const created = await engineHttp(engine.dockerHost, '/containers/create', { method: 'POST', body: { Image: 'lab/sleeper:1', StopTimeout: 1 } });
    const { Id: id } = created.json() as { Id: string };
    expect((await engineHttp(engine.dockerHost, `/containers/${id}/start`, { method: 'POST' })).status).toBe(204);
    const before = await stateOf(engine, id);
    expect(before.Running).toBe(true);

    const links = readdirSync('/sys/class/net');
    await engine.kill();
    expect(await engineAnswers(engine.dockerHost)).toBe(false);
    expect(existsSync(`/proc/${before.Pid}`)).toBe(true);

    // Without live-restore a starting engine ends what its killed predecessor left running.
    await engine.start();
    expect((await stateOf(engine, id)).Running).toBe(false);
    // Another engine's default bridge is none of its business.
    expect(readdirSync('/sys/class/net').includes('docker0')).toBe(links.includes('docker0'));
  });

  it('answers nothing while it is frozen', async () => {
    engine.freeze();
    expect(await engineAnswers(engine.dockerHost, 300)).toBe(false);
    engine.thaw();
    expect(await engineAnswers(engine.dockerHost, 5_000)).toBe(true);
  });

  it('leaves nothing behind when it is closed', async () => {
    const other = await startEngine({ labDir: useLab().dir });
    const root = dirname(new URL(other.dockerHost).pathname);
    await engineHttp(other.dockerHost, '/networks/create', { method: 'POST', body: { Name: 'left', Driver: 'bridge' } });
    const { Id } = (await engineHttp(other.dockerHost, '/networks/left')).json() as { Id: string };
    expect(existsSync(`/sys/class/net/br-${Id.slice(0, 12)}`)).toBe(true);
    await other.close();
    expect(existsSync(root)).toBe(false);
    expect(existsSync(`/sys/class/net/br-${Id.slice(0, 12)}`)).toBe(false);
  });
});

async function stateOf(engine: Engine, id: string): Promise<{ Running: boolean; Pid: number }> {
  const answer = await engineHttp(engine.dockerHost, `/containers/${id}/json`);
  return (answer.json() as { State: { Running: boolean; Pid: number } }).State;
}
