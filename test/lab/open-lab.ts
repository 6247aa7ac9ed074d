import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineAnswers } from './engine-http.ts';
import { engineObstacle, startEngine, type Engine } from './engine.ts';
import { FixtureImages } from './images.ts';
import type { LabFacts } from './lab.ts';
import { startRegistry } from './registry.ts';
import { sweepAtEnd } from './sweep.ts';

export interface OpenLab {
  readonly facts: LabFacts;
  /** Ends and removes everything; it also happens by itself when this process dies first. */
  close(): Promise<void>;
}

/**
 * A lab: an engine, an open registry and one with a login. The engine is DOCKER_HOST's if one answers there; else a private one; else, where
 * none can be started, the machine's own. It throws one sentence when there is none at all.
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
        // A shared engine stays: take back out what came from this run's registries, whose ports nobody else has.
        if (engine.own === undefined) await new FixtureImages(facts.dockerHost).removeAllFrom([open.host, auth.host]).catch(() => undefined);
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
  if (given !== undefined && given !== '' && (await engineAnswers(given))) return { dockerHost: given, own: undefined };
  const obstacle = engineObstacle();
  if (obstacle === undefined) {
    const own = await startEngine({ labDir, iptables: true });
    return { dockerHost: own.dockerHost, own };
  }
  const machines = 'unix:///var/run/docker.sock';
  if (await engineAnswers(machines)) return { dockerHost: machines, own: undefined };
  throw new Error(`no engine for the tests: none answers at ${given ?? machines}, and ${obstacle}`);
}
