import { PipesError } from '../core/errors.ts';
import { printImageRef, printRepository, TAG, type ImageRef } from './image-ref.ts';
import { isLoopbackHost, registryUrl } from './registry-address.ts';
import { parseChallenge, type RegistryChallenge } from './registry-challenge.ts';
import type { RegistryLogin } from './registry-logins.ts';

export interface RegistryClientOptions {
  /** Registries (`host[:port]`) besides those on loopback that speak plain HTTP. */
  readonly insecureRegistries?: readonly string[];
  /** Of one question with all its pages and tokens. */
  readonly timeoutMs?: number;
}

type Repository = Pick<ImageRef, 'registry' | 'repository'>;

/** The questions that `RegistryClient` answers, for those who need only these. */
export interface RegistryLookup {
  /**
   * Every tag of the repository, as the registry writes them.
   * @throws PipesError `image_not_found`, `registry_denied`, `registry_unavailable`, or the signal's reason
   */
  tags(ref: Repository, login: RegistryLogin | undefined, signal: AbortSignal): Promise<string[]>;
  /** The digest that the reference stands for now. Throws as `tags` does. */
  digest(ref: ImageRef, login: RegistryLogin | undefined, signal: AbortSignal): Promise<string>;
}

/**
 * Asks registries directly (OCI distribution specification 1.1), where the engine has no call for the question.
 *
 * A login goes to its own registry and to the token service that this registry names, and there only over https or loopback.
 */
export class RegistryClient implements RegistryLookup {
  readonly #insecure: ReadonlySet<string>;
  readonly #timeoutMs: number;

  constructor(options: RegistryClientOptions = {}) {
    this.#insecure = new Set(options.insecureRegistries);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  async tags(ref: Repository, login: RegistryLogin | undefined, signal: AbortSignal): Promise<string[]> {
    return await this.#ask(ref.registry, signal, async (deadline) => {
      const session = new Session(ref, usableLogin(ref, login), deadline);
      const tags = new Set<string>();
      let page: URL | undefined = new URL(`/v2/${ref.repository}/tags/list?n=${TAGS_PER_PAGE}`, registryUrl(ref.registry, this.#insecure));
      for (let pages = 0; page !== undefined && pages < MOST_PAGES; pages++) {
        const answer = await session.get(page, 'GET', {});
        expectFound(answer, printRepository(ref), login);
        const body = (await readJson(answer)) as { tags?: unknown } | null;
        // What no image can be called by is no tag.
        for (const tag of Array.isArray(body?.tags) ? body.tags : []) if (typeof tag === 'string' && TAG.test(tag)) tags.add(tag);
        if (tags.size > MOST_TAGS) throw new PipesError('registry_unavailable', `The registry tells more than ${MOST_TAGS} tags of ${printRepository(ref)}.`);
        page = nextPage(answer, page);
      }
      return [...tags];
    });
  }

  async digest(ref: ImageRef, login: RegistryLogin | undefined, signal: AbortSignal): Promise<string> {
    return await this.#ask(ref.registry, signal, async (deadline) => {
      const session = new Session(ref, usableLogin(ref, login), deadline);
      const url = new URL(`/v2/${ref.repository}/manifests/${ref.digest ?? ref.tag}`, registryUrl(ref.registry, this.#insecure));
      const answer = await session.get(url, 'HEAD', { Accept: MANIFEST_TYPES });
      expectFound(answer, printImageRef(ref), login);
      const digest = answer.headers.get('docker-content-digest');
      if (digest === null || !ANY_DIGEST.test(digest)) throw new PipesError('registry_unavailable', `The registry ${ref.registry} tells no digest of ${printImageRef(ref)}.`);
      return digest;
    });
  }

  /** One deadline for everything, and one kind of error for whatever the network does. */
  async #ask<T>(registry: string, signal: AbortSignal, question: (deadline: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const over = new AbortController();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs), over.signal]);
    try {
      return await Promise.race([question(deadline), aborted(deadline)]);
    } catch (error) {
      if (error instanceof PipesError) throw error;
      signal.throwIfAborted();
      const why = deadline.aborted ? `did not answer within ${this.#timeoutMs / 1000} s` : error instanceof SyntaxError ? 'answers what is no JSON' : 'cannot be reached';
      throw new PipesError('registry_unavailable', `The registry ${registry} ${why}.`, { cause: error });
    } finally {
      // Answers that were not read to their end, such as one of a status that says all, give their connections back.
      over.abort();
    }
  }
}

const DEFAULT_TIMEOUT_MS = 10_000;
const TAGS_PER_PAGE = 1000;
/** A registry that pages for ever must not hold us; 200,000 tags are more than any repository has. */
const MOST_PAGES = 200;
const MOST_TAGS = 200_000;
const LARGEST_ANSWER_BYTES = 8 * 1024 * 1024;

/** OCI image specification 1.1, "Digests". */
const ANY_DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]{1,256}$/;

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** The requests of one question: what the registry wanted to see at the first of them is sent with the rest. */
class Session {
  readonly #ref: Repository;
  readonly #login: RegistryLogin | undefined;
  readonly #deadline: AbortSignal;
  #authorization: string | undefined;

  constructor(ref: Repository, login: RegistryLogin | undefined, deadline: AbortSignal) {
    this.#ref = ref;
    this.#login = login;
    this.#deadline = deadline;
  }

  async get(url: URL, method: 'GET' | 'HEAD', headers: Record<string, string>): Promise<Response> {
    const first = await this.#send(url, method, headers);
    if (first.status !== 401) return first;
    const challenge = parseChallenge(first.headers.get('www-authenticate'));
    const answer = challenge && (await this.#answer(challenge, url));
    if (answer === undefined || answer === this.#authorization) return first;
    await first.body?.cancel();
    this.#authorization = answer;
    return await this.#send(url, method, headers);
  }

  // A redirect would carry the question, and on its own host the login too, to wherever it points: registries have no need of one here.
  async #send(url: URL, method: string, headers: Record<string, string>): Promise<Response> {
    const authorization: Record<string, string> = this.#authorization === undefined ? {} : { Authorization: this.#authorization };
    return await fetch(url, { method, headers: { ...headers, ...authorization }, redirect: 'error', signal: this.#deadline });
  }

  /** The value of `Authorization` that meets the challenge; undefined when nothing we have does. */
  async #answer(challenge: RegistryChallenge, asked: URL): Promise<string | undefined> {
    if (challenge.scheme === 'basic') return this.#login && basic(this.#login);
    return await this.#token(challenge, asked);
  }

  async #token(challenge: RegistryChallenge & { scheme: 'bearer' }, asked: URL): Promise<string | undefined> {
    const realm = parseUrl(challenge.realm);
    if (!realm || !/^https?:$/.test(realm.protocol)) return undefined;
    const isTrusted = realm.protocol === 'https:' || isLoopbackHost(realm.hostname) || realm.host === asked.host;
    const login = isTrusted ? this.#login : undefined;
    const scope = challenge.scope ?? `repository:${this.#ref.repository}:pull`;
    const answer = login?.identityToken === undefined ? await this.#simpleToken(realm, challenge.service, scope, login) : await this.#refreshedToken(realm, challenge.service, scope, login.identityToken);
    if (answer.status === 401 || answer.status === 403) return undefined;
    if (!answer.ok) throw new PipesError('registry_unavailable', `The token service of ${this.#ref.registry} answered ${answer.status}.`);
    const body = (await readJson(answer)) as { token?: unknown; access_token?: unknown } | null;
    const token = body?.token ?? body?.access_token;
    return typeof token === 'string' ? `Bearer ${token}` : undefined;
  }

  /** Distribution, "Token Authentication Specification": GET with Basic, or with nothing for public repositories. */
  async #simpleToken(realm: URL, service: string | undefined, scope: string, login: RegistryLogin | undefined): Promise<Response> {
    if (service !== undefined) realm.searchParams.set('service', service);
    realm.searchParams.set('scope', scope);
    const headers: Record<string, string> = login ? { Authorization: basic(login) } : {};
    return await fetch(realm, { headers, redirect: 'error', signal: this.#deadline });
  }

  /** Distribution, "OAuth2 Token Authentication": what an identity token is for. */
  async #refreshedToken(realm: URL, service: string | undefined, scope: string, identityToken: string): Promise<Response> {
    const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'pipes', service: service ?? '', scope, refresh_token: identityToken });
    return await fetch(realm, { method: 'POST', body, redirect: 'error', signal: this.#deadline });
  }
}

/** Only a login of this very registry; an identity token alone cannot meet a Basic challenge, and is kept for the token flow. */
function usableLogin(ref: Repository, login: RegistryLogin | undefined): RegistryLogin | undefined {
  return login?.registry === ref.registry ? login : undefined;
}

function basic(login: RegistryLogin): string {
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
}

function expectFound(answer: Response, what: string, login: RegistryLogin | undefined): void {
  if (answer.ok) return;
  if (answer.status === 404) throw new PipesError('image_not_found', `There is no ${what}.`);
  if (answer.status === 401 || answer.status === 403) {
    const why = login ? 'with the login that pipes has for it' : 'without a login';
    throw new PipesError('registry_denied', `The registry does not show ${what} ${why}.`);
  }
  throw new PipesError('registry_unavailable', `The registry answered ${answer.status} when asked for ${what}.`);
}

/** The next page as the `Link` header names it (RFC 8288); never on another host. */
function nextPage(answer: Response, asked: URL): URL | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(answer.headers.get('link') ?? '')?.[1];
  const next = link === undefined ? undefined : parseUrl(link, asked.href);
  return next?.origin === asked.origin ? next : undefined;
}

async function readJson(answer: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.body ?? []) {
    sizeBytes += (chunk as Uint8Array).length;
    if (sizeBytes > LARGEST_ANSWER_BYTES) throw new PipesError('registry_unavailable', 'The registry sent more than pipes reads.');
    chunks.push(chunk as Uint8Array);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}

/** Never resolves. Node's fetch does not end at its signal while it waits for a compressed body that is none. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the signal's own reason
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function parseUrl(text: string, base?: string): URL | undefined {
  return URL.canParse(text, base) ? new URL(text, base) : undefined;
}
