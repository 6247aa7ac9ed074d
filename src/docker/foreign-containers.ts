import { isIP } from 'node:net';
import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import { parseImageRef, printImageRef, type ImageRef } from '../images/image-ref.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { Upstream } from '../instances/upstream.ts';
import { servingPort } from '../instances/serving-port.ts';
import { LOOPBACK_OR_ALL, publishedPort } from './container-view.ts';
import { tcpPorts } from './docker-images.ts';
import { LABELS } from './labels.ts';
import type { OwnContainer } from './own-container.ts';
import { isOwnAddress } from './reach.ts';

/**
 * Of running containers those that someone started by hand from that image, and that pipes may use: the oldest first, so that
 * the same one is chosen each time. The image is the same when it was named so, or when the name stands for its bits now.
 */
export async function foreignCandidates(running: readonly ContainerInfo[], ref: ImageRef, images: Pick<ImageStore, 'find'>): Promise<ContainerInfo[]> {
  const byHand = running.filter((container) => isByHand(container.Labels));
  if (byHand.length === 0) return [];
  const name = printImageRef(ref);
  const imageId = (await images.find(ref))?.id;
  const same = byHand.filter((container) => container.ImageID === imageId || isNamed(container.Image, name));
  // The engine lists the newest first, to the nanosecond, and tells only seconds.
  return same.reverse().sort((a, b) => a.Created - b.Created);
}

/** Where a container that pipes did not make is reached; undefined when it cannot be. */
export async function foreignUpstream(info: ContainerInspectInfo, configured: number | undefined, self: OwnContainer | undefined): Promise<Upstream | undefined> {
  const port = servingPort(configured, tcpPorts(info.Config.ExposedPorts));
  if (info.HostConfig.NetworkMode === 'host') return self ? undefined : { host: '127.0.0.1', port };
  const networks = Object.values(info.NetworkSettings.Networks).filter((network) => isIP(network.IPAddress) !== 0);
  for (const network of networks) {
    const isReachable = self ? self.networks.has(network.NetworkID) : await isOwnAddress(network.Gateway);
    if (isReachable) return { host: network.IPAddress, port };
  }
  return publishedUpstream(info, port, self);
}

/** Through the host: its loopback, or from inside a container the host's address in a network that both are in. */
function publishedUpstream(info: ContainerInspectInfo, port: number, self: OwnContainer | undefined): Upstream | undefined {
  const published = publishedPort(info, port, self ? ['0.0.0.0', ''] : LOOPBACK_OR_ALL);
  const host = self ? [...self.networks.values()].find(({ gateway }) => gateway !== '')?.gateway : '127.0.0.1';
  return published === undefined || host === undefined ? undefined : { host, port: published };
}

function isByHand(labels: Readonly<Record<string, string>>): boolean {
  return labels[LABELS.owner] === undefined && (labels[LABELS.ignore] ?? 'false') === 'false';
}

function isNamed(image: string, name: string): boolean {
  const ref = parseImageRef(image);
  return ref !== undefined && printImageRef(ref) === name;
}
