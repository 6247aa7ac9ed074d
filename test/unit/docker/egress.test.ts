import { describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import type { Log } from '../../../src/core/log.ts';
import { Egress } from '../../../src/docker/egress.ts';
import type { Firewall } from '../../../src/docker/firewall.ts';
import type { AppsBridge } from '../../../src/docker/networks.ts';

function bench(egress: 'internet' | 'all' = 'internet') {
  const said: string[] = [];
  const done: string[] = [];
  const state: { bridge: AppsBridge | Error; fault: Error | undefined } = { bridge: { bridge: 'br-1' }, fault: undefined };
  const firewall = {
    keep: async (bridge: string) => {
      done.push(`keep ${bridge}`);
      await Promise.resolve();
      if (state.fault) throw state.fault;
    },
    drop: async () => {
      done.push('drop');
      await Promise.resolve();
      if (state.fault) throw state.fault;
    },
  } as unknown as Firewall;
  const log = { warn: (line: string) => said.push(`warn ${line}`), info: (line: string) => said.push(`info ${line}`) } as unknown as Log;
  const findBridge = async (): Promise<AppsBridge> => {
    await Promise.resolve();
    if (state.bridge instanceof Error) throw state.bridge;
    return state.bridge;
  };
  return { egress: new Egress({ egress, firewall, findBridge, log }), said, done, state };
}

describe('Egress', () => {
  it('has the rules stand before anything starts, and looks only once', async () => {
    const { egress, done, said } = bench();
    await Promise.all([egress.ready(), egress.ready()]);
    await egress.ready();
    expect(done).toEqual(['keep br-1']);
    expect(said).toEqual([]);
  });

  it('warns once where the rules cannot be set, holds nobody up, and says when they can', async () => {
    const { egress, said, state } = bench();
    state.fault = new Error('Permission denied (you must be root)');
    await egress.ready();
    egress.renew();
    await egress.ready();
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('Permission denied');
    expect(said[0]).toContain('docs/security.md');
    state.fault = undefined;
    egress.renew();
    await egress.ready();
    expect(said[1]).toContain('info');
  });

  it('says why where there is no bridge of this machine', async () => {
    const { egress, said, done, state } = bench();
    state.bridge = { obstacle: 'pipes runs in a container' };
    await egress.ready();
    expect(said).toEqual([expect.stringContaining('pipes runs in a container') as string]);
    expect(done).toEqual([]);
  });

  it('looks once more for all who ask while it looks', async () => {
    const { egress, done } = bench();
    for (let at = 0; at < 50; at += 1) egress.renew();
    await egress.ready();
    await Promise.resolve();
    for (let at = 0; at < 50; at += 1) egress.renew();
    await egress.ready();
    expect(done.length).toBeLessThanOrEqual(3);
  });

  it('asks again after the engine could not be reached', async () => {
    const { egress, said, done, state } = bench();
    state.bridge = new PipesError('engine_unavailable', 'away');
    await expect(egress.ready()).rejects.toThrow('away');
    state.bridge = { bridge: 'br-2' };
    await egress.ready();
    expect([said, done]).toEqual([[], ['keep br-2']]);
  });

  it('EGRESS=all takes rules back that stand, and says it where it may not look', async () => {
    const { egress, said, done, state } = bench('all');
    state.fault = new Error('there is no iptables on this machine');
    await egress.ready();
    expect([said, done]).toEqual([[expect.stringContaining('info EGRESS=all') as string], ['drop']]);
  });
});
