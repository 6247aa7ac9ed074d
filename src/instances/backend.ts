import type { LocalImage } from '../images/image-store.ts';
import type { ImageRef } from '../images/image-ref.ts';
import type { EffectiveConfig } from '../targets/target-config.ts';
import type { Reference } from '../targets/reference.ts';
import type { Upstream } from './upstream.ts';
import type { Usage } from './usage.ts';

/** What to make a container from. Everything in it is decided; a backend adds nothing of its own but names and networks. */
export interface RunSpec {
  readonly reference: Reference;
  readonly imageRef: ImageRef;
  readonly image: LocalImage;
  readonly config: EffectiveConfig;
  /** Hash of all of the above that a container cannot change later; kept on the container as a label. */
  readonly configHash: string;
  /** TCP port inside the container that requests go to. */
  readonly port: number;
}

/** A container as the engine tells it at one moment. */
export interface Observed {
  readonly id: string;
  /** `user/repo:tag` from its label; for a container that someone started by hand, the reference it was looked for. */
  readonly reference: string;
  /** True for containers of this pipes (`pipes.owner`); only these are ever stopped, paused, replaced or removed. */
  readonly managed: boolean;
  readonly state: 'created' | 'running' | 'paused' | 'exited';
  /** Of the last run, when `exited`. */
  readonly exitCode: number | undefined;
  readonly oomKilled: boolean;
  /** Why its program never ran, where the engine found that out only after the start: a missing file, another platform. */
  readonly cannotRun?: string;
  readonly startedAt: Date | undefined;
  /** When its last run ended, if it has ended. */
  readonly finishedAt: Date | undefined;
  /** The registry's digest of the image that it was made from, where that was known. */
  readonly imageDigest: string | undefined;
  readonly imageId: string;
  readonly imageRef: string;
  readonly configHash: string | undefined;
  /** Where it is reached now; undefined unless running or paused. Read anew at each look: it moves with every start. */
  readonly upstream: Upstream | undefined;
}

/** Which part of an instance's output is wanted. */
export interface OutputOptions {
  /** Goes on with what is written from now on, until the container stops, is removed, or the signal says so. */
  readonly follow: boolean;
  /** So many of the last lines to begin with; undefined for all that is kept. */
  readonly tail: number | undefined;
  /** Ends it at any moment; that is no error. */
  readonly signal: AbortSignal;
}

/** Output as it comes, in whole lines without their ends, some at a time; both streams, in the order the engine has them. */
export type OutputLines = AsyncIterable<readonly string[]>;

/** What an engine tells of its own accord. A hint to look, never the truth itself. */
export interface BackendListener {
  /** Something happened to this container; `died` means that it no longer runs and nothing may be sent to it,
   * `crashed` the same when nobody told it to stop.
   */
  changed(id: string, what: 'started' | 'died' | 'crashed' | 'paused' | 'unpaused' | 'removed'): void;
  /** The stream of changes broke: anything may have moved since. */
  lost(): void;
  /** The stream is back, and everything from now on is told. */
  restored(): void;
}

/**
 * What runs instances: Docker, later Swarm. Every failure is a `PipesError`; calls on a container that is gone answer
 * `undefined` or do nothing, since gone is what they were to achieve or find.
 */
export interface Backend {
  /** @throws PipesError `image_unusable`, `image_not_found`, `disk_full`, `engine_unavailable` */
  create(spec: RunSpec): Promise<string>;
  /** @throws PipesError `image_unusable` where the engine cannot run its command, `engine_unavailable` */
  start(id: string): Promise<void>;
  pause(id: string): Promise<void>;
  /** False when it was not paused: it runs already, has ended, or is gone. */
  unpause(id: string): Promise<boolean>;
  /** SIGTERM (or the image's stop signal), after `graceS` seconds SIGKILL; a paused one is unpaused first. */
  stop(id: string, graceS: number): Promise<void>;
  /** With its anonymous volumes; a running one is killed. */
  remove(id: string): Promise<void>;
  inspect(id: string): Promise<Observed | undefined>;
  /** Every container of this owner, whatever its state. */
  list(): Promise<Observed[]>;
  /** A running container of that image that someone started by hand and did not label `pipes.ignore`, if it can be reached. */
  findForeign(reference: Reference, imageRef: ImageRef, port: number | undefined): Promise<Observed | undefined>;
  /** The last lines of its output, oldest first, both streams. Empty when it is gone. */
  lastLines(id: string, count: number): Promise<string[]>;
  /**
   * Its output, read no faster than it is taken; undefined when it is gone. Lines longer than 64 KiB come in pieces.
   * @throws PipesError `engine_unavailable`, also in the middle; `not_found` where the engine keeps no output
   */
  logs(id: string, options: OutputOptions): Promise<OutputLines | undefined>;
  /**
   * What it uses now; undefined when it neither runs nor is paused. Engines may take a second to look.
   * @throws PipesError `engine_unavailable`, or the signal's reason
   */
  stats(id: string, signal: AbortSignal): Promise<Usage | undefined>;
  /** Starts telling; reconnects by itself until `stop` is called. */
  watch(listener: BackendListener): { stop(): Promise<void> };
  /** True when a connection that is closed again at once without data only shows that a port proxy listens (Docker's). */
  readonly acceptsBeforeReady: boolean;
}
