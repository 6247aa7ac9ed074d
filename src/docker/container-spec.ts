import type { ContainerCreateOptions, MountSettings } from 'dockerode';
import { printImageRef } from '../images/image-ref.ts';
import type { RunSpec } from '../instances/backend.ts';
import type { Capability } from '../targets/capabilities.ts';
import { printReference, type Reference } from '../targets/reference.ts';
import type { Volume } from '../targets/target-config.ts';
import { LABELS } from './labels.ts';
import type { Place } from './networks.ts';

/** Longest name part that still reads well in `docker ps`; nothing depends on it. */
const NAME_SUFFIX = /^[0-9a-f]{6}$/;

/**
 * What root in a container may still do, out of the fourteen that Docker gives. Web images start as root, make files their worker's (CHOWN, FOWNER,
 * DAC_OVERRIDE, FSETID), listen on 80 (NET_BIND_SERVICE), become that worker (SETGID, SETUID) and signal it (KILL). Each that is missing
 * has its reason in docs/security.md.
 */
export const BASE_CAPABILITIES: readonly Capability[] = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'];

/** `pipes-<user>-<repo>-<tag>-<suffix>` (INTERFACE 6). */
export function containerName(reference: Reference, suffix: string): string {
  if (!NAME_SUFFIX.test(suffix)) throw new TypeError('the suffix must be six hex digits');
  return `pipes-${reference.user}-${reference.repo}-${reference.tag}-${suffix}`;
}

/** What the engine is asked to make (Docker Engine API, `POST /containers/create`). Pure: everything in it comes from the arguments. */
export function containerSpec(spec: RunSpec, owner: string, place: Place): ContainerCreateOptions {
  const { config, reference, port } = spec;
  const portKey = `${port}/tcp`;
  return {
    Image: printImageRef(spec.imageRef),
    Labels: {
      ...config.labels,
      [LABELS.owner]: owner,
      [LABELS.reference]: printReference(reference),
      [LABELS.config]: spec.configHash,
      [LABELS.managed]: 'true',
      ...(spec.image.digest === undefined ? {} : { [LABELS.digest]: spec.image.digest }),
      [LABELS.port]: String(port),
    },
    Env: Object.entries(config.env).map(([name, value]) => `${name}=${value}`),
    ExposedPorts: { [portKey]: {} },
    ...(config.command && { Cmd: [...config.command] }),
    ...(config.entrypoint && { Entrypoint: [...config.entrypoint] }),
    ...(config.user !== undefined && { User: config.user }),
    ...(config.workdir !== undefined && { WorkingDir: config.workdir }),
    HostConfig: {
      NetworkMode: place.network,
      // An empty port lets the engine choose a free one, anew at each start.
      ...(place.reach === 'publish' && { PortBindings: { [portKey]: [{ HostIp: '127.0.0.1', HostPort: '' }] } }),
      Mounts: config.volumes.map((volume) => mount(volume, reference)),
      Memory: config.memoryBytes,
      // The same number means no swap on top: a container over its limit is to end, not to slow the machine down.
      MemorySwap: config.memoryBytes,
      NanoCpus: Math.round(config.cpus * 1e9),
      PidsLimit: config.pids,
      // The engine's seccomp profile stays as it is: a `seccomp=` here could only weaken it.
      SecurityOpt: ['no-new-privileges'],
      CapDrop: ['ALL'],
      CapAdd: [...new Set([...BASE_CAPABILITIES, ...config.capabilities])],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
      // Programs that never thought of being process 1 still end on SIGTERM, and leave no zombies.
      Init: true,
      // What runs and what sleeps is decided here, not by the engine.
      RestartPolicy: { Name: 'no' },
    },
  };
}

/** `pipes..<user>..<repo>..<name>`: no part can hold `..` at an end, and no name of another target can look the same (INTERFACE 4). */
export function volumeName(reference: Pick<Reference, 'user' | 'repo'>, name: string): string {
  return `pipes..${reference.user}..${reference.repo}..${name}`;
}

function mount(volume: Volume, reference: Reference): MountSettings {
  const base = { Target: volume.path, ReadOnly: volume.readOnly };
  if (volume.kind === 'host') return { ...base, Type: 'bind', Source: volume.source };
  if (volume.kind === 'external') return { ...base, Type: 'volume', Source: volume.source };
  const labels = { [LABELS.managed]: 'true' };
  return { ...base, Type: 'volume', Source: volumeName(reference, volume.source), VolumeOptions: { NoCopy: false, Labels: labels, DriverConfig: { Name: '', Options: {} } } };
}
