import type { WakeMessage } from './wake-message.ts';

/** What the waiting page says at one moment; an empty text is not shown. */
export interface WaitingView {
  /** For the tab, before the reference. */
  readonly tab: string;
  readonly status: string;
  readonly detail: string;
  /** When it is tried again. */
  readonly countdown: string;
  /** Which step is under way, or failed: 0 the image, 1 the container, 2 its answer; 3 when all are done. */
  readonly step: number;
  readonly pull: PullView | null;
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
 * there before counts nothing. Such are named first, so while nothing else was named nothing is known.
 */
export function waitingView(message: WakeMessage): WaitingView {
  const view = (step: number, status: string, detail = '', more?: Partial<WaitingView>): WaitingView => ({ tab: status, status, detail, countdown: '', step, pull: null, ...more });
  switch (message.phase) {
    case 'asleep':
      return view(0, 'Waking up');
    case 'queued':
      if (message.forPull && !message.ahead) return view(0, 'Waking up');
      return view(message.forPull ? 0 : 1, 'Waiting in line', message.ahead > 1 ? `${message.ahead} others start first.` : message.ahead === 1 ? 'One other starts first.' : 'It is next.');
    case 'creating':
      return view(1, 'Making the container');
    case 'starting':
      return view(1, 'Starting the container');
    case 'probing':
      return view(2, 'Almost there', 'It runs. Waiting until it answers.');
    case 'ready':
      return view(3, 'Ready', 'Opening it now.');
    case 'failed': {
      const { title, detail, code } = message.problem;
      const leftS = Math.ceil(message.retryAfterS ?? 5);
      const left = leftS < 60 ? `${leftS} s` : `${Math.floor(leftS / 60)} min ${leftS % 60} s`;
      return view(/^(image|registry|pull|tag)_/.test(code) ? 0 : code === 'instance_not_ready' ? 2 : 1, title, detail, { tab: 'Failed', countdown: leftS > 0 ? `Next try in ${left}` : 'Trying again' });
    }
    case 'pulling': {
      const size = (done: number, total = done): string => {
        const [unit, bytes, digits] = total < 1e6 ? ['kB', 1e3, 0] as const : total < 1e9 ? ['MB', 1e6, 1] as const : ['GB', 1e9, 2] as const;
        return `${(done / bytes).toFixed(digits)} ${total === done ? '' : `of ${(total / bytes).toFixed(digits)} `}${unit}`;
      };
      let [done, total, known, unknown, coming] = [0, 0, 0, 0, 0];
      const layers = message.layers.map(({ id, phase, doneBytes, totalBytes }) => {
        const isHere = phase === 'done' || phase === 'extracting';
        const bytes = isHere ? (totalBytes ?? 0) : doneBytes;
        if (!isHere) coming += 1;
        if (totalBytes) [done, total, known] = [done + bytes, total + totalBytes, known + 1];
        else if (!isHere) unknown += 1;
        return { id: id.slice(0, 12), text: phase === 'downloading' ? size(bytes, totalBytes ?? bytes) : phase === 'extracting' ? 'unpacking' : phase, fraction: isHere ? 1 : totalBytes ? bytes / totalBytes : 0 };
      });
      const fraction = known > 0 ? done / (total + (unknown * total) / known) : null;
      const bytes = fraction === null ? '' : coming === 0 ? 'unpacking' : size(done, unknown > 0 ? done : total);
      return view(0, 'Getting the image', '', { tab: `${fraction === null ? '' : `${Math.floor(fraction * 100)}% `}Getting the image`, pull: { fraction, bytes, layers } });
    }
  }
}
