/** Runs one job at a time, in the order they came. What serialises all that happens to one target. */
export class Lane {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  readonly #onIdle: () => void;

  /** @param onIdle told each time that no job is left */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** True while a job runs or waits. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Settles as the job does, once its turn has come; a job that fails does not hold up the next. */
  run<T>(job: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const turn = this.#tail.then(job).finally(() => {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#onIdle();
    });
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}
