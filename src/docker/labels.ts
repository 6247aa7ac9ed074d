/** The labels that pipes writes on what it makes in the engine, and the one it reads on what others made (INTERFACE 3 and 6). */
export const LABELS = {
  /** Random id of the pipes that made the container; only its own does anything to it. */
  owner: 'pipes.owner',
  /** `user/repo:tag`. */
  reference: 'pipes.reference',
  /** Hash of image and configuration, to tell whether a container is still what it should be. */
  config: 'pipes.config',
  /** The registry's digest of the image, where it came from one. */
  digest: 'pipes.digest',
  /** `true` on everything that any pipes made. */
  managed: 'pipes.managed',
  /** TCP port inside the container that requests go to. */
  port: 'pipes.port',
  /** On a container that someone started by hand: pipes is not to use it. Any value but `false`. */
  ignore: 'pipes.ignore',
} as const;
