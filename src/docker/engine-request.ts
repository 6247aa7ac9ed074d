import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { addAbortSignal } from 'node:stream';

/** An answer of the engine that is not the one that was hoped for. */
export class EngineRefusal extends Error {
  readonly statusCode: number;
  /** Its body as JSON, such as `{"message": …}`; undefined where it is none. */
  readonly json: unknown;

  constructor(statusCode: number, text: string) {
    super(text.trim() || `HTTP status ${statusCode}`);
    this.statusCode = statusCode;
    this.json = parseOrNothing(text);
  }
}

export interface EngineRequest {
  readonly protocol: 'http' | 'https';
  /** As docker-modem makes them: socket or host, method, path, headers, agent, signal. */
  readonly options: RequestOptions;
  readonly body: string | undefined;
  /** Answers with the stream itself, as soon as it begins. */
  readonly isStream: boolean;
}

/**
 * Sends one request to an engine, in place of docker-modem, which follows redirects to wherever they point, takes bodies of any
 * size, and waits on for an answer that broke off. Nothing of that is in the Docker Engine API.
 * @returns the stream; else the body as JSON, undefined where it is none
 * @throws EngineRefusal for every status but those that mean success; else the error of the connection
 */
export async function sendToEngine({ protocol, options, body, isStream }: EngineRequest): Promise<unknown> {
  const answer = await beginning(protocol, options, body);
  if (options.signal) addAbortSignal(options.signal, answer);
  const status = answer.statusCode ?? 0;
  if (!SUCCESS.has(status)) throw new EngineRefusal(status, await readText(answer, LARGEST_REFUSAL_BYTES, 'cut'));
  return isStream ? answer : parseOrNothing(await readText(answer, LARGEST_ANSWER_BYTES, 'refuse'));
}

const SUCCESS: ReadonlySet<number> = new Set([200, 201, 202, 204]);

/** The list of ten thousand containers has about 20 MB. */
const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024;
const LARGEST_REFUSAL_BYTES = 64 * 1024;

function beginning(protocol: 'http' | 'https', options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https' ? requestHttps : requestHttp)(options);
    request.on('response', resolve);
    request.on('error', reject);
    // Nobody asked for it; without a listener Node would close the connection and tell nobody.
    request.on('upgrade', (answer, socket) => {
      socket.destroy();
      reject(new EngineRefusal(answer.statusCode ?? 0, 'The engine wants to speak another protocol.'));
    });
    request.on('close', () => reject(new Error('socket hang up')));
    request.end(body);
  });
}

/** @param beyond what to do with a body that is larger, or breaks off: the status says more than the rest of it */
async function readText(answer: IncomingMessage, limitBytes: number, beyond: 'cut' | 'refuse'): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      // Leaving the loop ends the connection.
      if (sizeBytes > limitBytes) throw new EngineRefusal(answer.statusCode ?? 0, `The engine's answer is larger than ${limitBytes} bytes.`);
    }
  } catch (error) {
    if (beyond === 'refuse') throw error;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
