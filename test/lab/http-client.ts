import { Agent, request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface RequestOptions {
  /** The Host header. Node resolves no `*.localhost`. */
  readonly host: string;
  /** Where the connection goes to. Default: 127.0.0.1. */
  readonly address?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** An object is sent as JSON. */
  readonly body?: string | Buffer | Readable | object;
  readonly token?: string;
  /** Of the whole exchange. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Default: a connection of its own for each request. */
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- a test says what it expects; its assertions check it
  json<T = Record<string, unknown>>(): T;
}

/** One exchange, whole. It throws when the connection broke before the end of the answer. */
export async function request(port: number, options: RequestOptions): Promise<Answer> {
  const { response } = await openRequest(port, options);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  if (!response.complete) throw new Error('the answer broke off');
  const body = Buffer.concat(chunks);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    trailers: response.trailers,
    body,
    text: body.toString(),
    json: () => JSON.parse(body.toString()) as never,
  };
}

/** The same up to the answer's headers; its body is the caller's to read, or to leave. Whoever leaves it destroys the request. */
export async function openRequest(port: number, options: RequestOptions): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  const outgoing = startRequest(port, options);
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  const sent = send(outgoing, options.body);
  // An answer may come before the body has gone out, or instead: then a failure to send the rest is no failure.
  const [response] = await Promise.race([answered, sent.then(() => answered)]);
  sent.catch(() => undefined);
  return { request: outgoing, response };
}

/** A request whose body, end and answer are left to the caller. */
export function startRequest(port: number, options: RequestOptions): ClientRequest {
  const isJson = typeof options.body === 'object' && !Buffer.isBuffer(options.body) && !(options.body instanceof Readable);
  const bytes = options.body instanceof Readable ? undefined : bytesOf(options.body);
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const outgoing = httpRequest({
    host: options.address ?? '127.0.0.1',
    port,
    path: options.path ?? '/',
    method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
    headers: {
      host: options.host,
      ...(isJson ? { 'content-type': 'application/json' } : {}),
      // Node frames no body of methods that seldom have one (DELETE, OPTIONS): it would be read as the next request.
      ...(bytes === undefined ? {} : { 'content-length': bytes.length }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    agent: options.agent ?? new Agent({ keepAlive: false }),
    maxHeaderSize: 1024 * 1024,
    signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
  });
  outgoing.setNoDelay(true);
  return outgoing;
}

async function send(outgoing: ClientRequest, body: RequestOptions['body']): Promise<void> {
  if (body instanceof Readable) await pipeline(body, outgoing);
  else outgoing.end(bytesOf(body));
}

function bytesOf(body: Exclude<RequestOptions['body'], Readable>): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
