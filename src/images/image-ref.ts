/**
 * Which bits: `registry/repository:tag` or `registry/repository@digest`, fully spelled out, never with Docker's short forms.
 */
export interface ImageRef {
  /** `host[:port]`; Docker Hub is `docker.io`. */
  readonly registry: string;
  /** Path in the registry, with the prefix of `REGISTRY` if there is one: `alice/web`, `library/nginx`. */
  readonly repository: string;
  readonly tag: string;
  /** `sha256:…`; when set it is what is meant, and the tag is only a name for people. */
  readonly digest?: string;
}

export const DOCKER_HUB = 'docker.io';

/** `docker.io/alice/web:main`, or `docker.io/alice/web@sha256:…`: what the engine and people are told. */
export function printImageRef(ref: ImageRef): string {
  return `${printRepository(ref)}${ref.digest === undefined ? `:${ref.tag}` : `@${ref.digest}`}`;
}

/** `docker.io/alice/web`. */
export function printRepository(ref: Pick<ImageRef, 'registry' | 'repository'>): string {
  return `${ref.registry}/${ref.repository}`;
}

const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
export const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const REGISTRY_HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
/** What registry and repository may have together (distribution/reference, "NameTotalLengthMax"); engines refuse more. */
const LONGEST_NAME = 255;

/**
 * Reads an image name as Docker does (distribution/reference, "normalized named"): without a registry it is Docker Hub's,
 * without a user `library/`, without a tag `latest`. Undefined when it is no image name.
 */
export function parseImageRef(text: string): ImageRef | undefined {
  const [name = '', digest, ...rest] = text.split('@');
  if (rest.length > 0 || (digest !== undefined && !DIGEST.test(digest))) return undefined;
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasRegistry = looksLikeHost(first);
  const registry = hasRegistry ? normaliseRegistry(first) : DOCKER_HUB;
  const path = hasRegistry ? name.slice(slash + 1) : name;
  const colon = path.lastIndexOf(':');
  const written = colon < 0 ? path : path.slice(0, colon);
  const tag = colon < 0 ? 'latest' : path.slice(colon + 1);
  const repository = registry === DOCKER_HUB && !written.includes('/') ? `library/${written}` : written;
  if (!isHost(registry) || !REPOSITORY.test(repository) || !TAG.test(tag)) return undefined;
  if (registry.length + 1 + repository.length > LONGEST_NAME) return undefined;
  return digest === undefined ? { registry, repository, tag } : { registry, repository, tag, digest };
}

/** What stands before the first slash is a registry only if no user could be called that; all else Docker reads as a user of Docker Hub. */
function looksLikeHost(first: string): boolean {
  return /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
}

/** `host[:port]`, with a port that there can be. */
function isHost(text: string): boolean {
  return REGISTRY_HOST.test(text) && URL.canParse(`https://${text}/`);
}

/** Docker Hub has three names for historical reasons; logins and references must agree on one. */
export function normaliseRegistry(host: string): string {
  return host === 'index.docker.io' || host === 'registry-1.docker.io' || host === '' ? DOCKER_HUB : host;
}

/** Where the `user/repo` of host names are pulled from: the setting `REGISTRY`, `host[:port][/prefix]`. */
export interface RegistryBase {
  readonly registry: string;
  /** Path before `user/repo`, without slashes at its ends; empty for none. */
  readonly prefix: string;
}

/** Undefined when the text is no `host[:port][/prefix]`, or when Docker would read the host as a user of Docker Hub. */
export function parseRegistryBase(text: string): RegistryBase | undefined {
  const bare = text.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const slash = bare.indexOf('/');
  const registry = normaliseRegistry(slash < 0 ? bare : bare.slice(0, slash));
  const prefix = slash < 0 ? '' : bare.slice(slash + 1);
  if (!isHost(registry) || !/[.:]|^localhost$/.test(registry) || (prefix !== '' && !REPOSITORY.test(prefix))) return undefined;
  return { registry, prefix };
}
