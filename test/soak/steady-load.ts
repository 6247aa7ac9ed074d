import { Agent } from 'node:http';
import { request, type RequestOptions } from '../lab/http-client.ts';

export interface LoadOutcome {
  readonly requests: number;
  /** What was no whole 200, each with the moment since the load began. */
  readonly failures: readonly string[];
  /** Versions that answered `/whoami`, in the order of their first answer. */
  readonly versions: readonly string[];
}

/**
 * So many requests a second to one `mimic`, however long each takes: most on kept connections, each fifth on one of its own, and in each
 * second one stream that goes on for two.
 */
export class SteadyLoad {
  readonly #port: number;
  readonly #host: string;
  readonly #perS: number;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
  readonly #open = new Set<Promise<void>>();
  readonly #failures: string[] = [];
  readonly #versions = new Set<string>();
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #requests = 0;

  constructor(port: number, host: string, perS: number) {
    this.#port = port;
    this.#host = host;
    this.#perS = perS;
    this.#timer = setInterval(() => this.#catchUp(), 10);
  }

  /** Versions that have answered so far. */
  get versions(): ReadonlySet<string> {
    return this.#versions;
  }

  /** No more requests; resolves when the last one is over. */
  async stop(): Promise<LoadOutcome> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    this.#agent.destroy();
    return { requests: this.#requests, failures: this.#failures, versions: [...this.#versions] };
  }

  /** Timers are late on a busy machine; the number of requests is not. */
  #catchUp(): void {
    const due = Math.floor(((performance.now() - this.#startedMs) / 1000) * this.#perS);
    while (this.#requests < due) {
      this.#requests += 1;
      const sent = this.#send(this.#requests).finally(() => this.#open.delete(sent));
      this.#open.add(sent);
    }
  }

  async #send(number: number): Promise<void> {
    const isStream = number % this.#perS === 0;
    const options: RequestOptions = { host: this.#host, path: isStream ? '/trickle?ms=100&times=20' : '/whoami', timeoutMs: 30_000, ...(number % 5 === 0 ? {} : { agent: this.#agent }) };
    const atS = ((performance.now() - this.#startedMs) / 1000).toFixed(2);
    try {
      const answer = await request(this.#port, options);
      if (answer.status !== 200) this.#failures.push(`${atS} s: ${answer.status} ${answer.text.slice(0, 200)}`);
      else if (!isStream) this.#versions.add(answer.json<{ version: string }>().version);
      else if (answer.text.split('\n').length !== 21) this.#failures.push(`${atS} s: a stream of ${answer.text.length} bytes`);
    } catch (thrown) {
      this.#failures.push(`${atS} s: ${isStream ? 'stream' : 'request'} ${(thrown as NodeJS.ErrnoException).code ?? ''} ${(thrown as Error).message}`);
    }
  }
}
