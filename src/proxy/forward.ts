import type { PipesError } from '../core/errors.ts';

/** How the forwarding of one request ended. Nothing here is thrown: each of these is an ordinary end. */
export type ForwardEnd =
  /** The upstream's answer went to the client, whole. */
  | { readonly kind: 'answered'; readonly status: number }
  /** The client went away first. */
  | { readonly kind: 'aborted'; readonly status: number | undefined }
  /** The upstream died in mid-answer; the client's connection was cut so that it can tell. */
  | { readonly kind: 'broken'; readonly status: number; readonly error: PipesError }
  /**
   * Nothing has been sent to the client. `replayable` when the request may go to another upstream: the connection was refused,
   * or an idle connection died under a request that is safe to repeat; in both cases no body byte was taken from the client.
   */
  | { readonly kind: 'failed'; readonly error: PipesError; readonly replayable: boolean };
