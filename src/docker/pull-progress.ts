import type { LayerProgress } from '../images/image-store.ts';

/** One document of the engine's pull stream (Docker Engine API, `POST /images/create`). */
export interface PullEvent {
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Adds up a pull's events to where each layer stands. */
export class PullProgress {
  readonly #layers = new Map<string, LayerProgress>();

  /** Layers in the order in which the engine first named them. */
  get layers(): readonly LayerProgress[] {
    return [...this.#layers.values()];
  }

  /** True when the event changed where a layer stands. */
  add(event: PullEvent): boolean {
    const phase = PHASES[event.status ?? ''];
    if (event.id === undefined || phase === undefined) return false;
    const before = this.#layers.get(event.id);
    const totalBytes = phase === 'downloading' ? (positive(event.progressDetail?.total) ?? before?.totalBytes) : before?.totalBytes;
    const doneBytes = phase === 'downloading' ? (event.progressDetail?.current ?? before?.doneBytes ?? 0) : doneAfter(phase, before);
    this.#layers.set(event.id, { id: event.id, phase, doneBytes, totalBytes });
    return true;
  }
}

/** The engine's words. Others with an id name the tag ("Pulling from …") or a retry, and say nothing about a layer's progress. */
const PHASES: Readonly<Record<string, LayerProgress['phase']>> = {
  'Pulling fs layer': 'waiting',
  Waiting: 'waiting',
  Downloading: 'downloading',
  'Verifying Checksum': 'extracting',
  'Download complete': 'extracting',
  Extracting: 'extracting',
  'Pull complete': 'done',
  'Already exists': 'done',
};

/** Past the download all bytes are here, whatever the extraction counts. */
function doneAfter(phase: LayerProgress['phase'], before: LayerProgress | undefined): number {
  return phase === 'waiting' ? 0 : (before?.totalBytes ?? before?.doneBytes ?? 0);
}

/** A registry that does not tell the size makes the engine say 0 or -1. */
function positive(bytes: number | undefined): number | undefined {
  return bytes !== undefined && bytes > 0 ? bytes : undefined;
}
