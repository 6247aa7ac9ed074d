import { request } from 'node:http';
import type { Readable } from 'node:stream';

export interface EngineAnswer {
  readonly status: number;
  readonly body: Buffer;
  text(): string;
  json(): unknown;
}

export interface EngineCall {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'PUT' | 'HEAD';
  /** Sent as JSON, unless it is bytes or a stream: those are a tar. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * One call to a Docker engine, by no vendor's client: the lab must not lean on what it tests. `dockerHost` is `unix://…` or
 * `tcp://host:port`. Any status is an answer; only a call that got none throws.
 */
export async function engineHttp(dockerHost: string, path: string, call: EngineCall = {}): Promise<EngineAnswer> {
  const url = new URL(dockerHost);
  const where = url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: url.port };
  const raw = isStream(call.body) || Buffer.isBuffer(call.body);
  const type: Record<string, string> = call.body === undefined ? {} : { 'content-type': raw ? 'application/x-tar' : 'application/json' };
  return await new Promise((resolve, reject) => {
    const outgoing = request({ ...where, path, method: call.method ?? 'GET', headers: { host: 'engine', ...type, ...call.headers }, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const body = Buffer.concat(chunks);
        resolve({ status: answer.statusCode ?? 0, body, text: () => body.toString(), json: () => JSON.parse(body.toString()) as unknown });
      });
    });
    outgoing.setTimeout(call.timeoutMs ?? 120_000, () => outgoing.destroy(new Error(`${path}: no answer from ${dockerHost}`)));
    outgoing.on('error', reject);
    if (isStream(call.body)) call.body.on('error', (error: Error) => outgoing.destroy(error)).pipe(outgoing);
    else outgoing.end(call.body === undefined ? undefined : Buffer.isBuffer(call.body) ? call.body : JSON.stringify(call.body));
  });
}

/** True when an engine answers there now. */
export async function engineAnswers(dockerHost: string, timeoutMs = 2_000): Promise<boolean> {
  return await engineHttp(dockerHost, '/_ping', { timeoutMs }).then((answer) => answer.status === 200, () => false);
}

function isStream(body: unknown): body is Readable {
  return typeof body === 'object' && body !== null && 'pipe' in body;
}
