/**
 * One job per key at a time, however many ask. The job belongs to nobody: a caller may leave through its own signal and the
 * job goes on for the others, and for those who come later.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  /** Keys that have a job under way. */
  get size(): number {
    return this.#flights.size;
  }

  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /**
   * The result of the job under way for this key, or of a new one.
   * @param job gets no signal of any caller; it bounds its own time
   * @throws whatever the job throws, the same to everyone; or the signal's reason, to the one who left
   */
  async run(key: string, job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    return await abortable(this.#flights.get(key) ?? this.#take(key, job), signal);
  }

  #take(key: string, job: () => Promise<T>): Promise<T> {
    // The job starts a moment later, so that even one that throws at once finds its own entry to remove.
    const flight = Promise.resolve().then(job).finally(() => this.#flights.delete(key));
    // When everyone has left, nobody is there to be told that it failed.
    flight.catch(() => undefined);
    this.#flights.set(key, flight);
    return flight;
  }
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  let leave: (() => void) | undefined;
  const left = new Promise<never>((_resolve, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the reason is the caller's own, passed back as it is
    leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([promise, left]);
  } finally {
    signal.removeEventListener('abort', leave!);
  }
}
