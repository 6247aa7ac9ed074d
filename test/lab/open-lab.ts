import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineAnswers } from './engine-http.ts';
import { engineObstacle, startEngine, type Engine } from './engine.ts';
import { FixtureImages } from './images.ts';
import type { LabFacts } from './lab.ts';
import { registryHosts, startRegistry } from './registry.ts';
import { sweepAtEnd } from './sweep.ts';

export interface OpenLab {
  readonly facts: LabFacts;
  /** Ends and removes everything; it also happens by itself when this process dies first. */
  close(): Promise<void>;
}

/**
 * A lab: an engine, an open registry and one with a login. The engine is the one at DOCKER_HOST (unset: the machine's) if one answers there,
 * else a private one. It throws one sentence when there is neither.
 */
export async function openLab(): Promise<OpenLab> {
  const dir = mkdtempSync(join(tmpdir(), 'pipes-lab-'));
  const sweepNow = await sweepAtEnd(dir);
  try {
    const engine = await engineFor(dir);
    const [open, auth] = await Promise.all([startRegistry({ labDir: dir }), startRegistry({ labDir: dir, login: { username: 'lab', password: 'lab-password' } })]);
    const facts: LabFacts = {
      dir,
      dockerHost: engine.dockerHost,
      privateEngine: engine.own !== undefined,
      openRegistry: open.host,
      authRegistry: { host: auth.host, username: 'lab', password: 'lab-password' },
    };
    return {
      facts,
      async close() {
        // A shared engine stays: take back out what came from this run's registries, those that tests started too. Nobody else has their ports.
        if (engine.own === undefined) await new FixtureImages(facts.dockerHost).removeAllFrom(registryHosts(dir)).catch(() => undefined);
        await Promise.all([open.stop(), auth.stop(), engine.own?.close()]);
        await sweepNow();
      },
    };
  } catch (error) {
    await sweepNow();
    throw error;
  }
}

async function engineFor(labDir: string): Promise<{ dockerHost: string; own: Engine | undefined }> {
  const given = process.env['DOCKER_HOST'];
  const candidates = given === undefined || given === '' ? [MACHINES_OWN] : [given];
  for (const dockerHost of candidates) if (await engineAnswers(dockerHost)) return { dockerHost, own: undefined };
  const obstacle = engineObstacle();
  if (obstacle !== undefined) throw new Error(`no engine for the tests: none answers at ${candidates.join()}, and ${obstacle}`);
  // Only here, where no other engine is known: a start rewrites the firewall chains that engines share.
  const own = await startEngine({ labDir, iptables: true });
  return { dockerHost: own.dockerHost, own };
}

const MACHINES_OWN = 'unix:///var/run/docker.sock';
