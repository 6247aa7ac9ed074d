import http from 'node:http';
import https from 'node:https';
import { z } from 'zod';
import { ContainerState } from '../api/contract/container-state.ts';
import { Domains } from '../api/contract/domains.ts';
import { ProblemDocument } from '../api/contract/problem-document.ts';
import { MadeToken, TokenEntry, type NewToken } from '../api/contract/tokens.ts';
import { printFlatHost, printPlainHost } from '../targets/host-name.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import { CliError } from './cli-error.ts';
import type { PipesAddress } from './pipes-address.ts';

export type ContainerCommand = 'start' | 'stop' | 'restart';

/** The API of a running pipes, typed. Every failure is a `CliError` that says what to do. */
export class ApiClient {
  readonly #address: PipesAddress;
  readonly #token: string | undefined;

  constructor(address: PipesAddress, token: string | undefined) {
    this.#address = address;
    this.#token = token;
  }

  async containers(): Promise<ContainerState[]> {
    return await this.#ask({ method: 'GET', path: '/__proxyapi/containers', answer: z.array(ContainerState) });
  }

  async command(command: ContainerCommand, reference: Reference): Promise<ContainerState> {
    const host = this.#hostOf(reference);
    return await this.#ask({ method: 'POST', host, path: `/__proxyapi/container/${command}`, answer: ContainerState, timeoutMs: WORK_TIMEOUT_MS });
  }

  /**
   * What a container writes, given to `write` as it comes.
   * @param follow goes on until the container ends, which may be never
   */
  async logs(reference: Reference, { follow, tail }: { readonly follow: boolean; readonly tail: string | undefined }, write: (text: string) => void): Promise<void> {
    const query = new URLSearchParams({ follow: String(follow), ...(tail === undefined ? {} : { tail }) });
    const ask = { method: 'GET', host: this.#hostOf(reference), path: `/__proxyapi/container/logs?${query.toString()}`, answer: z.undefined(), accept: 'text/plain' };
    const response = await this.#open(ask);
    if ((response.statusCode ?? 0) >= 400) throw this.#refused(response.statusCode ?? 0, parse(await readText(response)));
    response.setEncoding('utf8');
    try {
      for await (const text of response) write(text as string);
    } catch (error) {
      throw new CliError(`The output broke off: ${(error as Error).message}. Ask again; --tail bounds how much comes.`);
    }
  }

  async tokens(): Promise<TokenEntry[]> {
    return await this.#ask({ method: 'GET', path: '/__proxyapi/tokens', answer: z.array(TokenEntry) });
  }

  async addToken(token: NewToken): Promise<MadeToken> {
    return await this.#ask({ method: 'POST', path: '/__proxyapi/tokens', body: token, answer: MadeToken });
  }

  async removeToken(name: string): Promise<void> {
    await this.#ask({ method: 'DELETE', path: `/__proxyapi/tokens/${encodeURIComponent(name)}`, answer: z.undefined() });
  }

  /** @param repository `user/repo` */
  async domains(repository: string): Promise<string[]> {
    return (await this.#ask({ method: 'GET', path: `/__proxyapi/apps/${repository}/domains`, answer: Domains })).domains;
  }

  async setDomains(repository: string, domains: readonly string[]): Promise<string[]> {
    return (await this.#ask({ method: 'PUT', path: `/__proxyapi/apps/${repository}/domains`, body: { domains }, answer: Domains })).domains;
  }

  /** The flat form first: one wildcard certificate covers it. */
  #hostOf(reference: Reference): string {
    const host = printFlatHost(reference, this.#address.base) ?? printPlainHost(reference, this.#address.base);
    if (host === undefined) throw new CliError(`No host name can carry ${printReference(reference)}: it is too long.`);
    return host;
  }

  async #ask<Schema extends z.ZodType>(ask: Ask<Schema>): Promise<z.output<Schema>> {
    const { status, text } = await this.#send(ask);
    const document = parse(text);
    if (status >= 400) throw this.#refused(status, document);
    const checked = ask.answer.safeParse(document);
    if (checked.success) return checked.data;
    throw new CliError(`What answers at ${this.#address.url.href} does not speak as pipes does (${status}). Check PIPES_URL.`);
  }

  #refused(status: number, document: unknown): CliError {
    const checked = ProblemDocument.safeParse(document);
    if (!checked.success) return new CliError(`What answers at ${this.#address.url.href} is no pipes (${status}). Check PIPES_URL.`);
    const { code, detail, faults = [], lines = [] } = checked.data;
    const next = code === 'unauthorized' ? UNAUTHORIZED[this.#token === undefined ? 'missing' : 'wrong'] : undefined;
    const details = [...(code === 'invalid_request' ? faults.map(({ path, message }) => `  ${path}: ${message}`) : []), ...lines.map((line) => `  | ${line}`)];
    return new CliError([`${detail} (${code})`, ...details, ...(next === undefined ? [] : [next])].join('\n'));
  }

  async #send(ask: Ask): Promise<{ status: number; text: string }> {
    const response = await this.#open(ask);
    try {
      return { status: response.statusCode ?? 0, text: await readText(response) };
    } catch (error) {
      throw this.#unreachable(error as Error, ask.timeoutMs ?? TIMEOUT_MS);
    }
  }

  /** Resolves with the head of the answer. The deadline covers the body too, unless the answer is one that may go on for ever. */
  #open(ask: Ask): Promise<http.IncomingMessage> {
    const { url } = this.#address;
    const hostname = ask.host ?? url.hostname;
    const timeoutMs = ask.timeoutMs ?? TIMEOUT_MS;
    const body = ask.body === undefined ? undefined : JSON.stringify(ask.body);
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).request(
        {
          method: ask.method,
          path: ask.path,
          // Every target is behind the same door, and Node knows no *.localhost: so one address, and the Host header tells.
          host: isLocalhost(url.hostname) ? '127.0.0.1' : url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port === '' ? undefined : url.port,
          ...(url.protocol === 'https:' && { servername: hostname }),
          headers: {
            Host: url.port === '' ? hostname : `${hostname}:${url.port}`,
            Accept: ask.accept ?? 'application/json',
            ...(this.#token !== undefined && { Authorization: `Bearer ${this.#token}` }),
            ...(body !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
          },
          agent: false,
          ...(ask.accept === undefined && { signal: AbortSignal.timeout(timeoutMs) }),
        },
        resolve,
      );
      request.on('error', (error) => reject(this.#unreachable(error, timeoutMs)));
      request.end(body);
    });
  }

  #unreachable(error: NodeJS.ErrnoException, timeoutMs: number): CliError {
    const at = this.#address.url.href;
    if (error.name === 'TimeoutError' || error.name === 'AbortError') return new CliError(`pipes at ${at} did not answer within ${timeoutMs / 1000} s.`);
    if (error.code === 'ECONNREFUSED') return new CliError(`Nothing answers at ${at}. Start it with "pipes serve", or say where it is with PIPES_URL.`);
    if (error.code === 'ENOTFOUND') return new CliError(`There is no host ${this.#address.url.hostname}. Check PIPES_URL.`);
    return new CliError(`pipes at ${at} cannot be reached: ${error.message}. Check PIPES_URL.`);
  }
}

interface Ask<Schema extends z.ZodType = z.ZodType> {
  readonly method: string;
  /** A target's host; else the platform is asked. */
  readonly host?: string;
  readonly path: string;
  readonly body?: unknown;
  /** Set for an answer that is read as it comes, however long that takes. */
  readonly accept?: string;
  readonly answer: Schema;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;

/** Longer than PULL_TIMEOUT and START_TIMEOUT together, as they are by default: pipes knows better when to give up. */
const WORK_TIMEOUT_MS = 15 * 60_000;

const UNAUTHORIZED = {
  missing: 'Set PIPES_TOKEN to a token of this pipes; the first start printed one, and "pipes tokens add" makes more.',
  wrong: 'The token in PIPES_TOKEN is not known there, or has expired.',
};

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function isLocalhost(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost');
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return null; // No schema of ours takes it.
  }
}
