import { DOCKER_HUB } from './image-ref.ts';

/** Where a registry (as in `ImageRef`) is asked: plain HTTP on loopback, as Docker does, and for those named as insecure; https else. */
export function registryUrl(registry: string, insecure: ReadonlySet<string>): URL {
  const host = registry === DOCKER_HUB ? DOCKER_HUB_HOST : registry;
  const url = new URL(`https://${host}/`);
  return insecure.has(registry) || isLoopbackHost(url.hostname) ? new URL(`http://${host}/`) : url;
}

/** A host as `URL.hostname` has it: 127.0.0.0/8, `[::1]` or localhost. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

/** Docker Hub's images carry another name than its registry. */
const DOCKER_HUB_HOST = 'registry-1.docker.io';
