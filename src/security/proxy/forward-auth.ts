import { randomBytes } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { PipesError } from '../../core/errors.ts';

/** An answer as the service gave it. */
export interface GivenAnswer {
  readonly status: number;
  readonly reason: string;
  /** Flat, as `rawHeaders` has them. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/**
 * Asks another service whether somebody may visit, as Traefik's ForwardAuth does: a GET with the visitor's headers. Redirects are
 * not followed, since they are for the visitor.
 */
export class ForwardAuth {
  readonly #timeoutMs: number;
  readonly #agent = new HttpAgent(CONNECTIONS);
  /** One extends the other, which their types do not say. */
  readonly #tlsAgent = new HttpsAgent(CONNECTIONS) as unknown as HttpAgent;
  /** Tells a question of this pipes, so that a service behind the very access that asks it does not ask for ever. */
  readonly #mark = randomBytes(12).toString('base64url');

  /** @param timeoutMs of a whole question */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param headers of the question, flat; without `Host`
   * @param asked the visitor's own headers
   * @throws PipesError `access_unavailable`; or the signal's reason
   */
  async ask(url: string, headers: readonly string[], asked: IncomingMessage['headers'], signal: AbortSignal): Promise<GivenAnswer> {
    if (asked[MARK] === this.#mark) throw unavailable('it is itself behind an access that asks it');
    signal.throwIfAborted();
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(LATE), this.#timeoutMs);
    const leave = (): void => ending.abort(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await this.#askTwice(new URL(url), headers, ending.signal);
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof PipesError) throw thrown;
      throw unavailable(ending.signal.aborted ? `it did not answer in ${this.#timeoutMs / 1000} s` : 'it cannot be reached', thrown);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    }
  }

  close(): void {
    this.#agent.destroy();
    this.#tlsAgent.destroy();
  }

  /** Once more where the service closed an idle connection just as the question went out. */
  async #askTwice(url: URL, headers: readonly string[], signal: AbortSignal): Promise<GivenAnswer> {
    try {
      return await this.#askOnce(url, headers, signal, url.protocol === 'https:' ? this.#tlsAgent : this.#agent);
    } catch (thrown) {
      if (!(thrown instanceof StaleConnection)) throw thrown;
      // The others that are idle may be as dead.
      return await this.#askOnce(url, headers, signal, false);
    }
  }

  #askOnce(url: URL, headers: readonly string[], signal: AbortSignal, agent: HttpAgent | false): Promise<GivenAnswer> {
    const isTls = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const question = (isTls ? httpsRequest : httpRequest)({
        agent,
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port === '' ? (isTls ? 443 : 80) : url.port,
        method: 'GET',
        path: url.pathname + url.search,
        headers: ['Host', url.host, MARK, this.#mark, ...headers],
        setHost: false,
        signal,
      });
      question.on('error', (error: NodeJS.ErrnoException) => reject(question.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE') ? new StaleConnection() : error));
      // An answer of another kind, such as an upgrade that nobody asked for, is told in no other way.
      const unanswered = (): void => reject(new Error('it closed the connection'));
      question.on('close', unanswered);
      question.on('response', (answer) => {
        question.off('close', unanswered);
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        answer.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          sizeBytes += chunk.length;
          if (sizeBytes <= MOST_BODY_BYTES) return;
          reject(unavailable('its answer is larger than 1 MB'));
          question.destroy();
        });
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode!, reason: answer.statusMessage ?? '', headers: answer.rawHeaders, body: Buffer.concat(chunks) }));
      });
      question.end();
    });
  }
}

const MARK = 'x-pipes-access';

const CONNECTIONS = { keepAlive: true, maxSockets: 128, maxFreeSockets: 16 };

/** A page to log in on, with what it holds inline. */
const MOST_BODY_BYTES = 1024 * 1024;

const LATE = new Error('it is too late');

class StaleConnection extends Error {}

/** Nothing of where it is or what it said: that is the operator's, and in the log. */
function unavailable(why: string, cause?: unknown): PipesError {
  return new PipesError('access_unavailable', 'The service that says who may visit cannot be asked now, so nobody may; try again in a moment.', {
    cause: new Error(why, cause === undefined ? undefined : { cause }),
  });
}
