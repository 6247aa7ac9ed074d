/** Where lines end up. */
export interface LineSink {
  write(text: string): unknown;
  flushSync(): void;
}

/**
 * Hands lines on together: what is written within a few milliseconds leaves in one write. Under load a write for each line or two
 * costs more than all else about a line, most of it in waking the threads that write.
 */
export class GatheredLines implements LineSink {
  readonly #sink: LineSink;
  readonly #delayMs: number;
  #text = '';
  #timer: NodeJS.Timeout | undefined;

  /** @param delayMs the longest that a line is kept back */
  constructor(sink: LineSink, delayMs: number) {
    this.#sink = sink;
    this.#delayMs = delayMs;
  }

  write(line: string): void {
    this.#text += line;
    if (this.#text.length >= MOST_CHARACTERS) this.#handOn();
    else this.#timer ??= setTimeout(() => this.#handOn(), this.#delayMs);
  }

  /** For the end of the process, which waits for nothing. */
  flushSync(): void {
    this.#handOn();
    this.#sink.flushSync();
  }

  #handOn(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#sink.write(text);
  }
}

/** About what one write of a log takes. */
const MOST_CHARACTERS = 16_384;
