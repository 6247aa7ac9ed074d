import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import type { IncomingMessage, RequestOptions } from 'node:http';
import Docker from 'dockerode';
import type { z } from 'zod';
import { PipesError } from '../core/errors.ts';
import { SingleFlight } from '../core/single-flight.ts';
import { engineError, engineStatus, isUnreachable } from './engine-errors.ts';
import { EngineRefusal, sendToEngine } from './engine-request.ts';
import { Version } from './engine-shapes.ts';
import { parseEngineAddress, printEngineAddress, type EngineAddress } from './engine-address.ts';

export interface EngineClientOptions {
  /** As `DOCKER_HOST` has it; undefined for the usual socket. */
  readonly host: string | undefined;
  /** TLS for an engine behind TCP: the directory with `ca.pem`, `cert.pem` and `key.pem` (`DOCKER_CERT_PATH`). */
  readonly tlsDirectory?: string | undefined;
  /** Of a call that says nothing else. */
  readonly timeoutMs?: number;
}

export interface EngineCall {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'HEAD';
  /** Below the API's version: `/containers/json`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  /** Value of `X-Registry-Auth`, encoded by docker-modem. */
  readonly login?: object | undefined;
  /** Longest time until the answer is here (`call`) or begins (`stream`); Infinity where the signal bounds it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** What the answer is to be like, where it is read (engine-shapes). */
  readonly shape?: z.ZodType;
}

/**
 * Speaks with one Docker engine. Every call is bounded in time and counted. The API's version is agreed on with the engine
 * before the first call, and again after the engine could not be reached, since another one may come back.
 */
export class EngineClient {
  /** Where the engine is, for messages. */
  readonly name: string;
  readonly address: EngineAddress;
  readonly #options: EngineClientOptions;
  #modem: Modem | undefined;
  readonly #negotiations = new SingleFlight<string>();
  #version: string | undefined;
  #calls = 0;

  /** @throws PipesError `invalid_request` for a `DOCKER_HOST` that pipes cannot use */
  constructor(options: EngineClientOptions) {
    const address = parseEngineAddress(options.host);
    if (!address) throw new PipesError('invalid_request', `DOCKER_HOST "${options.host ?? ''}" is not supported; write unix:///path or tcp://host:port.`);
    this.#options = options;
    this.address = address;
    this.name = printEngineAddress(address);
  }

  /** HTTP requests sent to the engine so far, so that a test can show when there are none. */
  get callCount(): number {
    return this.#calls;
  }

  /** The version of the API that is spoken, such as `1.41`. Throws as `call` does. */
  async apiVersion(signal?: AbortSignal): Promise<string> {
    return (this.#version ??= await this.#negotiations.run('version', () => this.#negotiate(), signal));
  }

  /**
   * One call with a short answer: its JSON as its shape has it, undefined where it is none.
   * @throws PipesError `engine_unavailable` when the engine cannot be reached, does not answer in time or answers nonsense; the
   *   signal's reason; else what the engine answered, to be read with `engineStatus` and `engineText` and translated by `engineError`
   */
  async call<T = unknown>(call: EngineCall): Promise<T> {
    const version = await this.apiVersion(call.signal);
    return this.#read(call, await this.#send(call, version, false)) as T;
  }

  /** One call with a long answer. The deadline holds until the answer begins, the signal until it ends. Throws as `call` does. */
  async stream(call: EngineCall): Promise<IncomingMessage> {
    const version = await this.apiVersion(call.signal);
    return (await this.#send(call, version, true)) as IncomingMessage;
  }

  /** What a failed call means to others; see `engineError`. */
  translate(thrown: unknown): PipesError {
    return engineError(thrown, this.name);
  }

  async #negotiate(): Promise<string> {
    const call: EngineCall = { method: 'GET', path: '/version', shape: Version };
    const told = this.#read(call, await this.#send(call, undefined, false)) as z.output<typeof Version>;
    const theirs = told.ApiVersion;
    if (compareVersions(theirs, OLDEST_API) < 0 || compareVersions(told.MinAPIVersion ?? '1.0', NEWEST_API) > 0) {
      throw new PipesError('engine_unavailable', `The engine at ${this.name} speaks API ${theirs}; pipes needs ${OLDEST_API} (Docker 19.03) or newer.`);
    }
    return compareVersions(theirs, NEWEST_API) < 0 ? theirs : NEWEST_API;
  }

  #read({ method, path, shape }: EngineCall, answer: unknown): unknown {
    const read = shape?.safeParse(answer);
    if (read?.success !== false) return read ? read.data : answer;
    throw new PipesError('engine_unavailable', `The engine at ${this.name} answers in a way that pipes cannot read.`, { cause: new EngineRefusal(200, `${method} ${path}: ${read.error.message}`) });
  }

  async #send(call: EngineCall, version: string | undefined, isStream: boolean): Promise<unknown> {
    call.signal?.throwIfAborted();
    this.#modem ??= await openModem(this.address, this.#options.tlsDirectory);
    const modem = this.#modem;
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const tooSlow = new AbortController();
    const timer = Number.isFinite(timeoutMs) ? setTimeout(() => tooSlow.abort(), timeoutMs) : undefined;
    const abortSignal = call.signal ? AbortSignal.any([call.signal, tooSlow.signal]) : tooSlow.signal;
    this.#calls++;
    try {
      return await dial(modem, call, version, isStream, abortSignal);
    } catch (thrown) {
      call.signal?.throwIfAborted();
      if (engineStatus(thrown) !== undefined) throw thrown;
      if (isUnreachable(thrown) || tooSlow.signal.aborted) this.#version = undefined;
      if (!tooSlow.signal.aborted) throw engineError(thrown, this.name);
      throw new PipesError('engine_unavailable', `The engine at ${this.name} did not answer within ${timeoutMs / 1000} s.`, { cause: thrown });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The newest API whose answers pipes was tried with; engines speak older ones for years. */
const NEWEST_API = '1.47';
const OLDEST_API = '1.40';
const DEFAULT_TIMEOUT_MS = 30_000;

type Callback = (error: unknown, answer: unknown) => void;

interface Modem {
  readonly protocol: string;
  dial(options: object, callback: Callback): void;
  buildRequest(options: RequestOptions, context: { readonly isStream: boolean }, body: string | undefined, callback: Callback): void;
}

/** Everything is given, so that docker-modem takes nothing from the environment: settings have one home. */
async function openModem(address: EngineAddress, tlsDirectory: string | undefined): Promise<Modem> {
  const none = { host: undefined, port: undefined, socketPath: undefined, ca: undefined, cert: undefined, key: undefined, timeout: undefined, pathPrefix: '/' };
  // A kept connection may be dead by the time it is used again, and a create or start must not be sent twice: a fresh one costs 0.1 ms.
  if (address.kind === 'socket') return modemOf({ ...none, protocol: 'http', socketPath: address.path, agent: new HttpAgent({ keepAlive: false }) });
  const { host, port } = address;
  if (tlsDirectory === undefined) return modemOf({ ...none, protocol: 'http', host, port, agent: new HttpAgent({ keepAlive: false }) });
  const [ca, cert, key] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map((file) => readTls(join(tlsDirectory, file))));
  return modemOf({ ...none, protocol: 'https', host, port, ca, cert, key, agent: new HttpsAgent({ keepAlive: false, ca, cert, key }) });
}

/** docker-modem makes the requests; they are sent here. */
function modemOf(options: object): Modem {
  const modem = new Docker(options).modem as unknown as Modem;
  const protocol = modem.protocol === 'https' ? 'https' : 'http';
  modem.buildRequest = (request, { isStream }, body, callback) => {
    sendToEngine({ protocol, options: request, body, isStream }).then((answer) => callback(null, answer), (error: unknown) => callback(error, null));
  };
  return modem;
}

async function readTls(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PipesError('engine_unavailable', `The TLS file ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`, { cause: error });
  }
}

function dial(modem: Modem, call: EngineCall, version: string | undefined, isStream: boolean, abortSignal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    modem.dial(
      {
        method: call.method,
        // docker-modem appends the query only to a path that ends with a question mark.
        path: `${version === undefined ? '' : `/v${version}`}${call.path}${call.query === undefined ? '' : '?'}`,
        options: { _query: call.query ?? {}, _body: call.body ?? {} },
        ...(call.login === undefined ? {} : { authconfig: call.login }),
        isStream,
        abortSignal,
      },
      (error, answer) => {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- docker-modem's error, read by its fields
        if (error !== null && error !== undefined) reject(error);
        else resolve(answer);
      },
    );
  });
}

/** Below zero when the first is the older. */
function compareVersions(first: string, second: string): number {
  const [major = 0, minor = 0] = first.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = second.split('.').map(Number);
  return major - otherMajor || minor - otherMinor;
}
