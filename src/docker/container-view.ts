import { isIP } from 'node:net';
import type { ContainerInspectInfo } from 'dockerode';
import type { Observed } from '../instances/backend.ts';
import type { Upstream } from '../instances/upstream.ts';
import { LABELS } from './labels.ts';

/** A container as the engine tells it, as the rest of pipes sees it. Undefined for one that is being removed. */
export function observeManaged(info: ContainerInspectInfo, inContainer: boolean): Observed | undefined {
  const labels = info.Config.Labels;
  const port = Number(labels[LABELS.port]);
  return observe(info, labels[LABELS.reference] ?? '', true, ownUpstream(info, port, inContainer));
}

/** @param upstream where it is reached, if it can be; only looked at while it runs */
export function observe(info: ContainerInspectInfo, reference: string, managed: boolean, upstream: Upstream | undefined): Observed | undefined {
  const state = STATES.get(info.State.Status);
  if (state === undefined) return undefined;
  return {
    id: info.Id,
    reference,
    managed,
    state,
    exitCode: state === 'exited' ? info.State.ExitCode : undefined,
    oomKilled: info.State.OOMKilled,
    startedAt: readTime(info.State.StartedAt),
    finishedAt: state === 'exited' ? readTime(info.State.FinishedAt) : undefined,
    imageDigest: info.Config.Labels[LABELS.digest],
    imageId: info.Image,
    imageRef: info.Config.Image,
    configHash: info.Config.Labels[LABELS.config],
    upstream: state === 'running' || state === 'paused' ? upstream : undefined,
  };
}

/** The engine's words (Docker Engine API, `ContainerState`). A container that is being removed is as good as gone. */
const STATES: ReadonlyMap<string, Observed['state']> = new Map([
  ['created', 'created'],
  ['running', 'running'],
  // Only containers that pipes did not make are ever restarted by the engine; until then they do not run.
  ['restarting', 'exited'],
  ['paused', 'paused'],
  ['exited', 'exited'],
  ['dead', 'exited'],
]);

/**
 * A container keeps the way in that it was made with: its published port where it has one and pipes is on the host, else its address.
 */
function ownUpstream(info: ContainerInspectInfo, port: number, inContainer: boolean): Upstream | undefined {
  if (!isPort(port)) return undefined;
  const published = inContainer ? undefined : publishedPort(info, port, LOOPBACK);
  if (published !== undefined) return { host: '127.0.0.1', port: published };
  const address = Object.values(info.NetworkSettings.Networks).find((network) => isIP(network.IPAddress) !== 0)?.IPAddress;
  return address === undefined ? undefined : { host: address, port };
}

/** Addresses of the host on which a published port is reached through loopback. */
const LOOPBACK: readonly string[] = ['127.0.0.1'];
export const LOOPBACK_OR_ALL: readonly string[] = ['127.0.0.1', '0.0.0.0', ''];

/** The host's port behind which the container's port is, on one of these addresses of the host. */
export function publishedPort(info: ContainerInspectInfo, port: number, hostAddresses: readonly string[]): number | undefined {
  const bindings = (info.NetworkSettings.Ports as PortMap | null)?.[`${port}/tcp`] ?? [];
  const binding = bindings.find(({ HostIp, HostPort }) => hostAddresses.includes(HostIp) && isPort(Number(HostPort)));
  return binding && Number(binding.HostPort);
}

type PortMap = Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null | undefined>>;

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

/** Year 1 is the engine's word for never. */
function readTime(text: string): Date | undefined {
  const time = new Date(text);
  return text.startsWith('0001-') || Number.isNaN(time.getTime()) ? undefined : time;
}
