import { z } from 'zod';
import type { LayerProgress } from '../images/image-store.ts';

/** Stands for an error that is there and is no text: the pull has failed all the same. */
const UNREADABLE = 'the engine does not say why';

/** As much as is read of a document of the engine's pull stream (Docker Engine API, `POST /images/create`); what is odd in it counts as not there. */
export const PullEvent = z.object({
  id: z.string().max(100).optional().catch(undefined),
  status: z.string().optional().catch(undefined),
  progressDetail: z.object({ current: z.number().min(0).optional().catch(undefined), total: z.number().optional().catch(undefined) }).optional().catch(undefined),
  error: z.string().optional().catch(UNREADABLE),
  errorDetail: z.object({ message: z.string().optional().catch(UNREADABLE) }).optional().catch(undefined),
});

export type PullEvent = z.infer<typeof PullEvent>;

/** Adds up a pull's events to where each layer stands. */
export class PullProgress {
  readonly #layers = new Map<string, LayerProgress>();

  /** Layers in the order in which the engine first named them. */
  get layers(): readonly LayerProgress[] {
    return [...this.#layers.values()];
  }

  /** True when the event changed where a layer stands. */
  add(event: PullEvent): boolean {
    const phase = PHASES.get(event.status ?? '');
    if (event.id === undefined || phase === undefined) return false;
    const before = this.#layers.get(event.id);
    if (!before && this.#layers.size >= MOST_LAYERS) return false;
    const totalBytes = phase === 'downloading' ? (positive(event.progressDetail?.total) ?? before?.totalBytes) : before?.totalBytes;
    const doneBytes = phase === 'downloading' ? (event.progressDetail?.current ?? before?.doneBytes ?? 0) : doneAfter(phase, before);
    this.#layers.set(event.id, { id: event.id, phase, doneBytes, totalBytes });
    return true;
  }
}

/** The engine's words. Others with an id name the tag ("Pulling from …") or a retry, and say nothing about a layer's progress. */
const PHASES: ReadonlyMap<string, LayerProgress['phase']> = new Map([
  ['Pulling fs layer', 'waiting'],
  ['Waiting', 'waiting'],
  ['Downloading', 'downloading'],
  ['Verifying Checksum', 'extracting'],
  ['Download complete', 'extracting'],
  ['Extracting', 'extracting'],
  ['Pull complete', 'done'],
  ['Already exists', 'done'],
]);

/** Engines take images of 127 layers at most; what is named beyond is not shown. */
const MOST_LAYERS = 500;

/** Past the download all bytes are here, whatever the extraction counts. */
function doneAfter(phase: LayerProgress['phase'], before: LayerProgress | undefined): number {
  return phase === 'waiting' ? 0 : (before?.totalBytes ?? before?.doneBytes ?? 0);
}

/** A registry that does not tell the size makes the engine say 0 or -1. */
function positive(bytes: number | undefined): number | undefined {
  return bytes !== undefined && bytes > 0 ? bytes : undefined;
}
