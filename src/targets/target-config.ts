import { z } from 'zod';
import { parseDuration } from '../core/durations.ts';
import { parseSize } from '../core/sizes.ts';
import { parseImageRef } from '../images/image-ref.ts';
import { Access } from '../security/proxy/access.ts';
import { CAPABILITIES, type Capability } from './capabilities.ts';

/**
 * The configuration of a target as users write it (INTERFACE 4): every key optional, an unknown key an error. It is kept
 * as written; `effectiveConfig` gives what a container is made from.
 */
const size = z.string().refine((text) => parseSize(text) !== undefined, 'must be a size such as 512m or 1g').describe('A size such as 512m or 1g');
const duration = z.string().refine((text) => parseDuration(text) !== undefined, 'must be a duration such as 500ms, 30s, 15m, 2h, 7d or off').describe('A duration such as 500ms, 30s, 15m, 2h, 7d, or off');
const boundedDuration = z.string().refine((text) => Number.isFinite(parseDuration(text)), 'must be a duration such as 500ms, 30s or 15m').describe('A duration such as 500ms, 30s or 15m');
const words = z.array(z.string().min(1).max(8192).refine((word) => !word.includes('\0'), 'must not hold a NUL')).max(256);
const absolutePath = z.string().startsWith('/', 'must be an absolute path').max(4096).refine((path) => !path.includes('\0'), 'must not hold a NUL');

export const VOLUME = /^(?:(?<name>[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99})|external:(?<external>[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254})|(?<host>\/[^:\0]*)):(?<path>\/[^:\0]*)(?::(?<mode>ro|rw))?$/;

export const TargetConfig = z.strictObject({
  port: z.int().min(1).max(65535).optional(),
  env: z
    .record(z.string().regex(/^[^=\0\s]+$/, 'must be a name without = or spaces'), z.string().max(131072).refine((value) => !value.includes('\0'), 'must not hold a NUL'))
    .optional(),
  command: words.optional(),
  entrypoint: words.optional(),
  user: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/, 'must be user or user:group').optional(),
  workdir: absolutePath.optional(),
  volumes: z.array(z.string().regex(VOLUME, 'must be name:/path[:ro], external:name:/path[:ro] or /host/path:/path[:ro]')).max(64).optional(),
  memory: size.refine((text) => (parseSize(text) ?? Infinity) >= MIN_MEMORY_BYTES, 'must be at least 6m, the least that the engine takes').optional(),
  cpus: z.number().min(0.01).max(1024).optional(),
  pids: z.int().min(1).max(1_000_000).optional(),
  capabilities: z.array(z.enum(CAPABILITIES, 'must be a capability of Linux without CAP_, such as NET_RAW')).max(CAPABILITIES.length).optional(),
  readiness: z.strictObject({ path: z.string().regex(/^\/[\x21-\x7e]*$/, 'must be a path that begins with /').max(2048).optional(), timeout: boundedDuration.optional() }).optional(),
  idle: z.strictObject({ pause: duration.optional(), stop: duration.optional(), remove: duration.optional(), workers: z.boolean().optional() }).optional(),
  wait: z.enum(['auto', 'page', 'hold']).optional(),
  replicas: z.literal(1, 'must be 1: several replicas are not built yet').optional(),
  replace: z.enum(['overlap', 'stop-first']).optional(),
  labels: z.record(z.string().min(1).max(255).refine((name) => !name.startsWith('pipes.'), 'names that begin with "pipes." belong to pipes'), z.string().max(4096)).optional(),
  image: z.string().refine((text) => parseImageRef(text) !== undefined, 'must be an image name').optional(),
  pull: z.enum(['missing', 'always', 'never']).optional(),
  access: Access.optional(),
});

export type TargetConfig = z.infer<typeof TargetConfig>;

/** The engine refuses less (Docker: "Minimum memory limit allowed is 6MB"). */
const MIN_MEMORY_BYTES = 6 * 1024 * 1024;

/** What holds where neither a target nor its repository says otherwise; from the settings. */
export interface ConfigDefaults {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  readonly startTimeoutMs: number;
  readonly pull: 'missing' | 'always' | 'never';
  readonly idle: IdleTimes;
  readonly wait: 'auto' | 'page' | 'hold';
}

/** After how much idle time an instance sleeps deeper, all counted from its last use; Infinity for never. */
export interface IdleTimes {
  readonly pauseMs: number;
  readonly stopMs: number;
  readonly removeMs: number;
}

export interface Volume {
  readonly kind: 'own' | 'external' | 'host';
  /** Name of the volume as its target calls it, its full name (`external`), or the path on the host. */
  readonly source: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** Everything about a container that configuration decides, with units and defaults settled. */
export interface EffectiveConfig {
  readonly port: number | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  readonly user: string | undefined;
  readonly workdir: string | undefined;
  readonly volumes: readonly Volume[];
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  /** Beyond those that every container has; sorted, each once. */
  readonly capabilities: readonly Capability[];
  readonly readinessPath: string | undefined;
  readonly startTimeoutMs: number;
  readonly replace: 'overlap' | 'stop-first';
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string | undefined;
  readonly pull: 'missing' | 'always' | 'never';
  readonly idle: IdleTimes;
  readonly wait: 'auto' | 'page' | 'hold';
}

/** A target's configuration over its repository's, key by key; `env` and `labels` are merged (INTERFACE 4). */
export function mergeConfigs(repository: TargetConfig, own: TargetConfig): TargetConfig {
  const merged: TargetConfig = { ...repository, ...own };
  if (repository.env && own.env) merged.env = { ...repository.env, ...own.env };
  if (repository.labels && own.labels) merged.labels = { ...repository.labels, ...own.labels };
  return merged;
}

/** Settles defaults and units. The configuration was checked when it was written, so nothing here can fail. */
export function effectiveConfig(config: TargetConfig, defaults: ConfigDefaults): EffectiveConfig {
  const volumes = (config.volumes ?? []).map(readVolume);
  const hasWritableVolume = volumes.some((volume) => !volume.readOnly);
  return {
    port: config.port,
    env: config.env ?? {},
    command: config.command,
    entrypoint: config.entrypoint,
    user: config.user,
    workdir: config.workdir,
    volumes,
    memoryBytes: (config.memory === undefined ? undefined : parseSize(config.memory)) ?? defaults.memoryBytes,
    cpus: config.cpus ?? defaults.cpus,
    pids: config.pids ?? defaults.pids,
    capabilities: [...new Set(config.capabilities)].sort(),
    readinessPath: config.readiness?.path,
    startTimeoutMs: durationOr(config.readiness?.timeout, defaults.startTimeoutMs),
    // Two processes on one writable volume corrupt it, so such a target is never run twice at once.
    replace: hasWritableVolume ? 'stop-first' : (config.replace ?? 'overlap'),
    labels: config.labels ?? {},
    image: config.image,
    pull: config.pull ?? defaults.pull,
    idle: {
      pauseMs: durationOr(config.idle?.pause, defaults.idle.pauseMs),
      stopMs: durationOr(config.idle?.stop, defaults.idle.stopMs),
      removeMs: durationOr(config.idle?.remove, defaults.idle.removeMs),
    },
    wait: config.wait ?? defaults.wait,
  };
}

function durationOr(text: string | undefined, fallbackMs: number): number {
  return (text === undefined ? undefined : parseDuration(text)) ?? fallbackMs;
}

function readVolume(text: string): Volume {
  const groups = VOLUME.exec(text)!.groups!;
  const kind = groups['host'] !== undefined ? 'host' : groups['external'] !== undefined ? 'external' : 'own';
  return { kind, source: (groups['host'] ?? groups['external'] ?? groups['name'])!, path: groups['path']!, readOnly: groups['mode'] === 'ro' };
}
