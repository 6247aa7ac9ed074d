import type { WakeMessage } from './wake-message.ts';

export type StepState = 'todo' | 'now' | 'done' | 'failed';

/** What the waiting page says at one moment; an empty text is not shown. */
export interface WaitingView {
  /** For the tab, before the reference. */
  readonly tab: string;
  readonly status: string;
  readonly detail: string;
  /** When it is tried again. */
  readonly countdown: string;
  /** Of the image, the container, the answer. */
  readonly steps: readonly StepState[];
  readonly pull: PullView | undefined;
}

export interface PullView {
  /** Between 0 and 1; null while no size is known. */
  readonly fraction: number | null;
  readonly bytes: string;
  readonly layers: readonly { readonly id: string; readonly text: string; readonly fraction: number }[];
}

/**
 * Words and numbers for a message, the same on the server and in the browser: the page's script holds the source text of this
 * function (`waiting-page-script.ts`), so it uses nothing but its argument and the language, and says what it does out here.
 *
 * The bar counts bytes. A layer whose size is not known yet counts as large as the known ones are on average; one that was
 * there before counts nothing.
 */
export function waitingView(message: WakeMessage): WaitingView {
  const size = (bytes: number): string => (bytes < 999_500 ? `${Math.round(bytes / 1000)} kB` : bytes < 999_500_000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
  const duration = (seconds: number): string => (seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min${seconds % 60 === 0 ? '' : ` ${seconds % 60} s`}`);
  const stepsTo = (current: number, state: StepState): StepState[] => [0, 1, 2].map((step) => (step < current ? 'done' : step === current ? state : 'todo'));
  const working = (status: string, detail: string, current: number): WaitingView => ({ tab: status, status, detail, countdown: '', steps: stepsTo(current, 'now'), pull: undefined });

  switch (message.phase) {
    case 'asleep':
      return working('Waking up', '', 0);
    case 'queued': {
      const before = message.ahead === 1 ? 'One other starts first.' : `${message.ahead} others start first.`;
      return working('Waiting in line', message.ahead > 0 ? before : 'It is next.', 1);
    }
    case 'creating':
      return working('Making the container', '', 1);
    case 'starting':
      return working('Starting the container', '', 1);
    case 'probing':
      return working('Almost there', 'It runs. Waiting until it answers.', 2);
    case 'ready':
      return working('Ready', 'Opening it now.', 3);
    case 'failed': {
      const { title, detail, code } = message.problem;
      const seconds = Math.ceil(message.retryAfterS ?? 5);
      const step = /^(image|registry|pull|tag)_/.test(code) ? 0 : code === 'instance_not_ready' ? 2 : 1;
      const countdown = seconds > 0 ? `Next try in ${duration(seconds)}` : 'Trying again';
      return { tab: 'Failed', status: title, detail, countdown, steps: stepsTo(step, 'failed'), pull: undefined };
    }
    case 'pulling': {
      const { layers } = message;
      const shares = layers.map(({ phase, doneBytes, totalBytes }) => {
        const total = totalBytes ?? 0;
        const done = phase === 'done' || phase === 'extracting' ? total : Math.min(doneBytes, total);
        return { total, done, isUnknown: total === 0 && phase !== 'done' && phase !== 'extracting' };
      });
      const total = shares.reduce((sum, share) => sum + share.total, 0);
      const done = shares.reduce((sum, share) => sum + share.done, 0);
      const unknown = shares.filter((share) => share.isUnknown).length;
      const known = shares.filter((share) => share.total > 0).length;
      const isHere = layers.length > 0 && layers.every(({ phase }) => phase === 'done' || phase === 'extracting');
      const fraction = isHere ? 1 : known > 0 ? done / (total + (unknown * total) / known) : null;
      const rows = layers.map(({ id, phase, doneBytes, totalBytes }, index) => {
        const share = shares[index]!;
        const received = totalBytes ? `${size(share.done)} of ${size(totalBytes)}` : size(doneBytes);
        const text = phase === 'downloading' ? received : phase === 'extracting' ? 'unpacking' : phase;
        return { id: id.slice(0, 12), text, fraction: phase === 'done' || phase === 'extracting' ? 1 : share.total > 0 ? share.done / share.total : 0 };
      });
      const bytes = isHere ? 'Unpacking' : known === 0 ? '' : unknown > 0 ? size(done) : `${size(done)} of ${size(total)}`;
      const view = working('Getting the image', '', 0);
      return { ...view, tab: fraction === null ? view.tab : `${Math.floor(fraction * 100)}% ${view.tab}`, pull: { fraction, bytes, layers: rows } };
    }
  }
}
