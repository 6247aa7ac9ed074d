import type { IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PAGE_SHOWN, PageTurns } from '../../../src/proxy/page-turn.ts';
import type { Waker } from '../../../src/proxy/waker.ts';
import { parseReference } from '../../../src/targets/reference.ts';

const TARGET = { reference: parseReference('alice/web'), key: 'alice/web:latest' };
const PAGE_LOAD = { method: 'GET', headers: { accept: 'text/html' } } as unknown as IncomingMessage;

function turns(pageAfterMs: number): PageTurns {
  return new PageTurns({ waitMode: () => 'auto', isUp: () => false, watch: () => () => undefined } as unknown as Waker, pageAfterMs);
}

describe('the turn of the page', () => {
  it('comes, and ends the request, not the wake', async () => {
    let phase = '';
    const turn = turns(1).begin(TARGET, PAGE_LOAD, new Promise(() => undefined), (progress) => (phase = progress.phase))!;
    await expect(turn.shown).rejects.toBe(PAGE_SHOWN);
    expect([turn.isShown, phase]).toEqual([true, 'asleep']);
  });

  it('does not come once the app did', async () => {
    const turn = turns(1).begin(TARGET, PAGE_LOAD, new Promise(() => undefined), () => undefined)!;
    turn.cancel();
    await wait(5);
    expect(turn.isShown).toBe(false);
  });

  it('comes late when it is set to come later than timers reach', async () => {
    const turn = turns(40 * 86_400_000).begin(TARGET, PAGE_LOAD, new Promise(() => undefined), () => undefined)!;
    await wait(5);
    expect(turn.isShown).toBe(false);
    turn.cancel();
  });
});
