import { createHash } from 'node:crypto';
import type { ContainerInfo, ImageInspectInfo, ImageInfo } from 'dockerode';
import type { z } from 'zod';
import { DOCKER_HUB, parseImageRef, printImageRef, printRepository, type ImageRef } from '../images/image-ref.ts';
import type { ImageLayer, ImageShelf, ShelvedImage } from '../images/image-shelf.ts';
import type { ImageStore, LocalImage, PullListener } from '../images/image-store.ts';
import type { RegistryLogin } from '../images/registry-logins.ts';
import { pullError, engineStatus } from './engine-errors.ts';
import { ContainerList, History, Image, ImageList } from './engine-shapes.ts';
import { jsonLines } from './json-lines.ts';
import { PullEvent, PullProgress } from './pull-progress.ts';
import type { EngineClient } from './client.ts';

/** The images of a Docker engine. */
export class DockerImages implements ImageStore, ImageShelf {
  readonly #client: EngineClient;

  constructor(client: EngineClient) {
    this.#client = client;
  }

  async find(ref: ImageRef): Promise<LocalImage | undefined> {
    try {
      const found = await this.#client.call<ImageInspectInfo>({ method: 'GET', path: `/images/${printImageRef(ref)}/json`, shape: Image });
      return { id: found.Id, digest: digestOf(found, ref), exposedPorts: tcpPorts((found.Config as ImageConfig | null)?.ExposedPorts), sizeBytes: found.Size };
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return undefined;
      throw this.#client.translate(thrown);
    }
  }

  async localTags(ref: Pick<ImageRef, 'registry' | 'repository'>): Promise<string[]> {
    try {
      const images = await this.#client.call<ImageInfo[]>({ method: 'GET', path: '/images/json', query: { filters: { reference: [familiarName(ref)] } }, shape: ImageList });
      const names = images.flatMap((image) => image.RepoTags ?? []).map(parseImageRef);
      return names.filter((name) => name?.registry === ref.registry && name.repository === ref.repository).map((name) => name!.tag);
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }

  async pull(ref: ImageRef, login: RegistryLogin | undefined, listener: PullListener, signal: AbortSignal): Promise<void> {
    const name = printImageRef(ref);
    try {
      // A digest goes where the tag goes; the engine tells them apart. The answer may begin late: the signal bounds all of it.
      const query = { fromImage: printRepository(ref), tag: ref.digest ?? ref.tag };
      const stream = await this.#client.stream({ method: 'POST', path: '/images/create', query, login: login && loginHeader(login), timeoutMs: Infinity, signal });
      const progress = new PullProgress();
      for await (const document of jsonLines(stream)) {
        const event = PullEvent.parse(document);
        const message = event.errorDetail?.message ?? event.error;
        // The status was 200 long before the pull failed; this is the only sign of it.
        if (message !== undefined) throw new Error(message);
        if (progress.add(event)) listener(progress.layers);
      }
    } catch (thrown) {
      signal.throwIfAborted();
      throw pullError(thrown, this.#client.name, name);
    }
  }

  async list(): Promise<ShelvedImage[]> {
    const images = await this.#get<ImageInfo[]>('/images/json', ImageList);
    return images.map(({ Id, RepoTags }) => ({ id: Id, names: (RepoTags ?? []).map(parseImageRef).filter((name) => name !== undefined).map(printImageRef) }));
  }

  async layers(id: string): Promise<readonly ImageLayer[]> {
    try {
      const steps = await this.#client.call<HistoryStep[]>({ method: 'GET', path: `/images/${id}/history`, shape: History });
      return layersOf(steps);
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return [];
      throw this.#client.translate(thrown);
    }
  }

  async idsOfContainers(): Promise<ReadonlySet<string>> {
    const containers = await this.#get<ContainerInfo[]>('/containers/json', ContainerList, { all: true });
    return new Set(containers.map(({ ImageID }) => ImageID));
  }

  async remove(nameOrId: string): Promise<boolean> {
    try {
      await this.#client.call({ method: 'DELETE', path: `/images/${nameOrId}`, timeoutMs: REMOVE_TIMEOUT_MS });
      return true;
    } catch (thrown) {
      if (engineStatus(thrown) === 404) return true;
      if (engineStatus(thrown) === 409) return false;
      throw this.#client.translate(thrown);
    }
  }

  async #get<T>(path: string, shape: z.ZodType, query: Readonly<Record<string, unknown>> = {}): Promise<T> {
    try {
      return await this.#client.call<T>({ method: 'GET', path, query, shape });
    } catch (thrown) {
      throw this.#client.translate(thrown);
    }
  }
}

/** Unpacked layers of many small files take their time to be deleted. */
const REMOVE_TIMEOUT_MS = 120_000;

/** Docker Engine API, `GET /images/{name}/history`, the youngest first. */
export interface HistoryStep {
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
}

/**
 * The layers of an image with their sizes, which the engine tells only by way of its history. A layer is known by its own step
 * and all steps below it: images that were built on one base have that history in common.
 */
export function layersOf(steps: readonly HistoryStep[]): ImageLayer[] {
  const layers: ImageLayer[] = [];
  let key = '';
  for (const { Created, CreatedBy, Size } of [...steps].reverse()) {
    key = createHash('sha256').update(`${key}\n${Created}\n${CreatedBy}\n${Size}`).digest('hex');
    if (Size > 0) layers.push({ key, sizeBytes: Size });
  }
  return layers;
}

interface ImageConfig {
  readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
}

/** TCP ports out of the engine's `80/tcp` keys, ascending. */
export function tcpPorts(exposed: Readonly<Record<string, unknown>> | null | undefined): number[] {
  const ports = Object.keys(exposed ?? {}).map((key) => Number(/^(\d{1,5})(?:\/tcp)?$/.exec(key)?.[1]));
  // Whoever made the image wrote them, and engines do not look.
  return ports.filter((port) => port >= 1 && port <= 65535).sort((a, b) => a - b);
}

/** One image may carry digests of several registries; only that of this repository can be compared with its registry. */
function digestOf(image: ImageInspectInfo, ref: ImageRef): string | undefined {
  const names = ((image.RepoDigests as string[] | null) ?? []).map(parseImageRef);
  return names.find((name) => name?.registry === ref.registry && name.repository === ref.repository)?.digest;
}

/** The engine's filter knows names only in their short form: `alice/web`, `nginx`. */
function familiarName(ref: Pick<ImageRef, 'registry' | 'repository'>): string {
  if (ref.registry !== DOCKER_HUB) return printRepository(ref);
  return ref.repository.replace(/^library\//, '');
}

/** Docker Hub is known to engines by the address that `docker login` has always written. */
function loginHeader(login: RegistryLogin): object {
  const serveraddress = login.registry === DOCKER_HUB ? 'https://index.docker.io/v1/' : login.registry;
  if (login.identityToken !== undefined) return { identitytoken: login.identityToken, serveraddress };
  return { username: login.username, password: login.password, serveraddress, ...(login.email === undefined ? {} : { email: login.email }) };
}
