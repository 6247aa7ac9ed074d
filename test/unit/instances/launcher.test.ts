import { describe, expect, it } from 'vitest';
import { parseReference } from '../../../src/targets/reference.ts';
import { makeTable } from '../../fakes/table-bench.ts';

const WEB = parseReference('alice/web:main');
const NEVER = new AbortController().signal;

describe('the parts of a wake', () => {
  it('leave nothing out: unpausing counts as starting', async () => {
    const bench = makeTable();
    await bench.table.open();
    (await bench.table.lease(WEB, undefined, NEVER)).release();
    const [id] = bench.backend.ids();
    bench.backend.pauseByHand(id!);
    await bench.table.reconcile();
    bench.backend.latencyMs = 50;
    bench.backend.calls.length = 0;
    (await bench.table.lease(WEB, undefined, NEVER)).release();
    const calls = [...bench.backend.calls];
    const { lastWake } = bench.table.report(WEB);
    await bench.close();
    // One call, and no other before the request goes on.
    expect(lastWake).toMatchObject({ from: 'paused', pullMs: 0, createMs: 0, readyMs: 0 });
    expect(lastWake!.startMs).toBeGreaterThanOrEqual(45);
    expect(calls).toEqual(['inspect', 'unpause']);
  });
});
