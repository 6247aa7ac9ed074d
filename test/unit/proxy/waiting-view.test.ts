import { describe, expect, it } from 'vitest';
import { waitingView } from '../../../src/proxy/waiting-view.ts';

describe('waiting for a turn', () => {
  it('is about the image until that is here', () => {
    expect(waitingView({ phase: 'queued', ahead: 0, forPull: true })).toMatchObject({ step: 0, status: 'Waking up' });
    expect(waitingView({ phase: 'queued', ahead: 2, forPull: true })).toMatchObject({ step: 0, status: 'Waiting in line', detail: '2 others start first.' });
    expect(waitingView({ phase: 'queued', ahead: 0 })).toMatchObject({ step: 1, status: 'Waiting in line' });
  });
});

describe('the bar of a pull', () => {
  it('stays open while all that was named is here already: the layers that come are named a moment later', () => {
    const here = { phase: 'done', doneBytes: 0, totalBytes: undefined } as const;
    const first = waitingView({ phase: 'pulling', layers: [{ ...here, id: 'aaa' }, { ...here, id: 'bbb' }] });
    expect([first.pull?.fraction, first.pull?.bytes, first.tab]).toEqual([null, '', 'Getting the image']);
    const then = waitingView({ phase: 'pulling', layers: [{ ...here, id: 'aaa' }, { ...here, id: 'bbb' }, { id: 'ccc', phase: 'downloading', doneBytes: 3e6, totalBytes: 6e6 }] });
    expect(then.pull?.fraction).toBe(0.5);
  });
});
