import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';

/** Asks a Node process that was started with `--inspect=127.0.0.1:port`, without a line of its own code for it. */
export class Inspector {
  readonly #socket: WebSocket;
  #asked = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<Inspector> {
    const [page] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { webSocketDebuggerUrl: string }[];
    const socket = new WebSocket(page!.webSocketDebuggerUrl);
    await once(socket, 'open');
    return new Inspector(socket);
  }

  async collectGarbage(): Promise<void> {
    await this.#ask('HeapProfiler.collectGarbage', {});
  }

  /** The value of an expression, as JSON carries it. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = (await this.#ask('Runtime.evaluate', { expression, returnByValue: true })) as { result: { value?: unknown }; exceptionDetails?: { text: string } };
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.text}`);
    return result.value;
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  async #ask(method: string, params: object): Promise<unknown> {
    const id = (this.#asked += 1);
    const signal = AbortSignal.timeout(30_000);
    this.#socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [data] = (await once(this.#socket, 'message', { signal })) as [RawData];
      const told = JSON.parse((data as Buffer).toString()) as { id?: number; result?: unknown; error?: { message: string } };
      if (told.id !== id) continue;
      if (told.error) throw new Error(`${method}: ${told.error.message}`);
      return told.result;
    }
  }
}
