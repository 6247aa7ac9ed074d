import { BlockList, isIP, isIPv4 } from 'node:net';
import { anyText, decimal, duration, list, oneOf, onOff, rate, size, wholeNumber, type Kind } from './setting-kinds.ts';

/** One setting: how it is read, what it is when nobody sets it, and what the docs say of it. */
export interface Setting<T> {
  readonly kind: Kind<T>;
  /** As a user would write it; undefined: unset. */
  readonly fallback: string | undefined;
  /** The same in the container image, where it differs. */
  readonly inImage?: string;
  readonly secret?: true;
  /** The feature that it belongs to is not built yet: it is read and checked, and has no effect. */
  readonly later?: true;
  /** One line for people. */
  readonly doc: string;
}

/** A setting that always has a value. */
function setting<T>(kind: Kind<T>, fallback: string, doc: string, more: Pick<Setting<T>, 'inImage' | 'later'> = {}): Setting<T> & { readonly fallback: string } {
  return { kind, fallback, doc, ...more };
}

/** A setting that may be absent. */
function optional<T>(kind: Kind<T>, doc: string, more: Pick<Setting<T>, 'secret' | 'later'> = {}): Setting<T> & { readonly fallback: undefined } {
  return { kind, fallback: undefined, doc, ...more };
}

const later = { later: true } as const;
const secret = { secret: true } as const;

/** The grammar of security/patterns; config knows no other room, so a test holds the two together. */
const patterns: Kind<string> = {
  allowed: 'patterns of user/repo such as alice/*, separated by commas',
  parse: (text) => (text.split(',').every((entry) => /^\s*(?:[a-z0-9._*-]+(?:\/[a-z0-9._*-]+)?)?\s*$/.test(entry)) ? text : undefined),
};

const hostName: Kind<string> = {
  allowed: 'a host name',
  parse: (text) => (/^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/i.test(text) ? text.toLowerCase() : undefined),
};

const address: Kind<string> = { allowed: 'an IP address', parse: (text) => (isIP(text) === 0 ? undefined : text) };

const addressOrSubnet: Kind<string> = {
  allowed: 'an IP address or subnet',
  parse: (text) => {
    const [ip = '', bits, ...rest] = text.split('/');
    // An interface of this machine (fe80::1%eth0) is no part of a subnet.
    const version = ip.includes('%') || rest.length > 0 ? 0 : isIP(ip);
    if (version === 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)))) return undefined;
    return text;
  },
};

/** A private IPv4 subnet with room for at least one network of 64 addresses. */
const subnetPool: Kind<string> = {
  allowed: 'an IPv4 subnet such as 10.213.0.0/16, from /8 to /26',
  parse: (text) => {
    const [ip = '', bits = '', ...rest] = text.split('/');
    return rest.length === 0 && isIPv4(ip) && /^\d{1,2}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 26 ? text : undefined;
  },
};

const engineAddress: Kind<string> = {
  allowed: 'unix:///path/to/socket, a path, or tcp://host:port',
  parse: (text) => (/^(?:unix:\/\/\/[^\0-\x1f]+|\/[^\0-\x1f]+|(?:tcp|https?):\/\/(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?\/?)$/.test(text) ? text : undefined),
};

/** Engines take names of 255 characters, and two labels of a host are to fit behind this. */
const LONGEST_REGISTRY_BASE = 120;

/**
 * The grammar of images/image-ref, likewise. Docker takes a first part without a dot or a port for a user of Docker Hub, and would
 * send the registry's login there (distribution/reference, `splitDockerDomain`).
 */
const registryBase: Kind<string> = {
  allowed: 'host[:port][/prefix], the host with a dot, a port, or localhost',
  parse: (text) => {
    const match = /^(?:https?:\/\/)?((?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(:\d{1,5})?(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\/?$/.exec(text);
    if (!match || text.length > LONGEST_REGISTRY_BASE || !URL.canParse(`https://${match[1]!}${match[2] ?? ''}/`)) return undefined;
    return match[2] !== undefined || match[1]!.includes('.') || match[1] === 'localhost' ? text : undefined;
  },
};

/** The grammar of proxy/quiet. A piece of one or two characters is in nearly every User-Agent. */
const quietRules: Kind<string> = {
  allowed: 'paths such as /ping or /icons/*, and pieces of User-Agents of at least 3 characters, separated by commas; or off',
  parse: (text) => (text.split(',').every((entry) => /^\s*(?:\/[^*\s]*\*?|[^/*\s][^*]{2,})?\s*$/.test(entry)) ? text : undefined),
};

const longSecret: Kind<string> = { allowed: 'at least 16 printable ASCII characters without blanks', parse: (text) => (/^[\x21-\x7e]{16,}$/.test(text) ? text : undefined) };

/**
 * Every setting of pipes (INTERFACE 2), in the order of the docs. The names are those of the environment. This table is the
 * one home of names, defaults and rules; `docs/settings.md` is held to it by a test.
 */
export const SETTINGS = {
  PORT: setting(wholeNumber(0, 65535), '8080', 'Port that pipes listens on; 0 takes a free one.', { inImage: '80' }),
  BIND: setting(address, '127.0.0.1', 'Address that pipes listens on.', { inImage: '0.0.0.0' }),
  DOMAIN: setting(list(hostName, 'host names'), '', 'The base or bases of host names; then no other host (but localhost) is served.'),
  DOMAINLEVELS: optional(wholeNumber(1, 10), 'How many labels at the end of a host are its base, when DOMAIN is unset.'),
  PLATFORM_HOSTS: setting(list(hostName, 'host names'), '', 'More hosts on which pipes itself answers.'),
  CONFIG_DIR: setting(anyText, './configs', 'Folder of all that pipes keeps.', { inImage: '/configs' }),
  DOCKER_HOST: setting(engineAddress, '/var/run/docker.sock', 'The Docker engine: socket or TCP.'),
  DOCKER_TLS_VERIFY: setting(onOff, 'off', 'Talk TLS to the engine, with the certificates of DOCKER_CERT_PATH.'),
  DOCKER_CERT_PATH: optional(anyText, 'Folder with ca.pem, cert.pem and key.pem for the engine.'),
  DOCKER_AUTH: setting(onOff, 'off', 'Log in to REGISTRY with the three settings below.'),
  DOCKER_AUTH_USERNAME: optional(anyText, 'User for REGISTRY.'),
  DOCKER_AUTH_EMAIL: optional(anyText, 'Mail address for REGISTRY, where one is asked for.'),
  DOCKER_AUTH_PASSWORD: optional(anyText, 'Password or token for REGISTRY.', secret),
  DOCKER_CONFIG: setting(anyText, '~/.docker', 'Folder of the config.json that `docker login` writes; its logins are used.'),
  REGISTRY: setting(registryBase, 'docker.io', 'Where <user>/<repo> is pulled from.'),
  ALLOW: setting(patterns, '*/*', 'Which user/repo may be run from a registry.'),
  DENY: setting(patterns, '', 'Which user/repo may not, even if ALLOW names them.'),
  REQUIRE_DIGEST: setting(onOff, 'off', 'Run from a registry only images that a configuration pins by digest.'),
  ADOPT_FOREIGN: setting(onOff, 'on', 'Use running containers that someone started by hand.'),
  PULL: setting(oneOf('missing', 'always', 'never'), 'missing', 'When to pull: if the engine lacks the image, before each start, never.'),
  PULL_REFRESH: setting(duration({ orOff: true }), 'off', 'How often a tag in use is compared with the registry.'),
  PULL_CONCURRENCY: setting(wholeNumber(1, 1000), '3', 'Pulls at the same time.'),
  START_CONCURRENCY: setting(wholeNumber(1, 1000), '8', 'Starts at the same time.'),
  QUEUE_LIMIT: setting(wholeNumber(0, 1_000_000), '100', 'Pulls, and starts, that may wait for their turn.'),
  PULL_TIMEOUT: setting(duration(), '10m', 'How long a pull may take.'),
  START_TIMEOUT: setting(duration(), '60s', 'How long a container may take to get ready.'),
  WAIT: setting(oneOf('auto', 'page', 'hold'), 'auto', 'Whether a page load that has to wait gets the waiting page or is held.'),
  WAIT_PAGE_AFTER: setting(duration(), '1500ms', 'How long a page load is held before it gets the waiting page.'),
  QUIET: setting(quietRules, 'default', 'Requests that never wake a sleeper, nor keep one awake; default stands for the built-in rules.'),
  IDLE_PAUSE: setting(duration({ orOff: true }), '2m', 'Idle time until an instance is paused.'),
  IDLE_STOP: setting(duration({ orOff: true }), '30m', 'Idle time until it is stopped.'),
  IDLE_REMOVE: setting(duration({ orOff: true }), '7d', 'Idle time until it is removed.'),
  IMAGE_DISK: setting(size({ orOff: true }), 'off', 'Byte budget for images that pipes pulled or built.', { inImage: '20g' }),
  MEMORY: setting(size({ leastBytes: 6 * 2 ** 20 }), '512m', 'Memory of each container, unless its configuration says otherwise.'),
  CPUS: setting(decimal(0.01, 1024), '1', 'CPUs of each container, likewise.'),
  PIDS: setting(wholeNumber(1, 1_000_000), '512', 'Processes of each container, likewise.'),
  MEMORY_MAX: setting(size({ orOff: true, leastBytes: 6 * 2 ** 20 }), '2g', 'The most memory that a deploy token may give to a container; an admin token may give more.'),
  CPUS_MAX: setting(decimal(0.01, 1024, { orOff: true }), '4', 'The most CPUs, likewise.'),
  PIDS_MAX: setting(wholeNumber(1, 1_000_000, { orOff: true }), '2048', 'The most processes, likewise.'),
  MAX_RUNNING: setting(wholeNumber(1, 100_000, { orOff: true }), 'off', 'Running containers at once; the longest idle sleeps first.', { inImage: '50' }),
  WAKE_RATE: setting(rate, '60/min', 'Cold starts that one client may cause.'),
  NEW_TARGETS: setting(rate, '100/h', 'Targets that may be started for the first time, in all.'),
  UPSTREAM: setting(oneOf('auto', 'network', 'publish'), 'auto', 'How containers are reached: their address, a loopback port, or whichever works.'),
  ISOLATE: setting(onOff, 'on', 'Keep containers from reaching each other.'),
  EGRESS: setting(oneOf('internet', 'all'), 'internet', 'Whether isolated containers reach only the internet and pipes (where pipes may set firewall rules), or also private networks, the metadata address and this machine.'),
  NETWORK: optional(anyText, 'Network that containers join when ISOLATE is off; else the default bridge.'),
  NETWORK_POOL: setting(subnetPool, '10.213.0.0/16', 'Addresses for the networks of users, when pipes is itself a container.'),
  BACKEND: setting(oneOf('docker'), 'docker', 'What runs the containers (swarm is not built yet).'),
  FAST_LANE: setting(onOff, 'on', 'The short path for plain warm requests.', later),
  HEADER_TIMEOUT: setting(duration(), '30s', "How long a request's head may take to arrive."),
  BODY_IDLE_TIMEOUT: setting(duration(), '2m', "How long a request's body may stall, and how long a client may read nothing of an answer that waits for it."),
  CONNECT_TIMEOUT: setting(duration(), '5s', 'How long a connection to a container may take.'),
  UPSTREAM_TIMEOUT: setting(duration({ orOff: true }), 'off', 'How long a container may take to begin its answer.'),
  DRAIN_TIMEOUT: setting(duration(), '30s', 'How long requests may go on in a container that is to stop.'),
  SHUTDOWN_TIMEOUT: setting(duration(), '30s', 'How long requests may go on when pipes is to stop.'),
  API_AUTH: setting(oneOf('token', 'none'), 'token', 'none opens the API to everybody who reaches it.'),
  API_TOKEN: optional(longSecret, 'The admin token; made at the first start if unset.', secret),
  SSH_PORT: setting(wholeNumber(1, 65535, { orOff: true }), '2222', 'Port of git over SSH.', later),
  SSH_ADMIN_KEY: optional(anyText, 'The first public key that may push.', later),
  BUILD_CONCURRENCY: setting(wholeNumber(1, 100), '1', 'Builds at the same time.', later),
  BUILD_TIMEOUT: setting(duration(), '30m', 'How long a build may take.', later),
  BUILD_PUSH: optional(anyText, 'Registry prefix that gets the image of each release.', later),
  ARCHIVE_LIMIT: setting(size(), '512m', 'Size of an uploaded archive.', later),
  ARTIFACT_DISK: setting(size(), '10g', 'Byte budget for built binaries.', later),
  GO_IMAGE: optional(anyText, 'Toolchain image for Go binaries; by go.mod if unset.', later),
  REMOTE_ALLOW: setting(list(anyText, 'hosts'), '', 'Git remotes that may be private addresses or http.', later),
  WEBHOOK_SECRET: optional(anyText, 'Secret of webhooks that carry no token.', secret),
  TRUST_PROXY: setting(list(addressOrSubnet, 'IP addresses or subnets'), '', 'Proxies whose X-Forwarded-* is believed.'),
  LOG_LEVEL: setting(oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'), 'info', 'What is logged.'),
  LOG_FORMAT: optional(oneOf('json', 'pretty'), 'How: json, or pretty for people. Unset: pretty on a terminal.'),
} as const;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends { readonly kind: Kind<infer T>; readonly fallback: infer F } ? (F extends string ? T : T | undefined) : never;

/** Every setting's value, with units settled. */
export type Settings = { readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> };

/** Settings of the command line client (INTERFACE 2); allowed beside the others in `.env`, read by the client alone. */
export const CLIENT_SETTINGS: readonly string[] = ['PIPES_URL', 'PIPES_TOKEN'];

/** Whether an address is one of those proxies. IPv4-mapped IPv6 addresses count as IPv4. */
export function trustedProxies(entries: readonly string[]): (remote: string) => boolean {
  if (entries.length === 0) return () => false;
  const blocks = new BlockList();
  for (const entry of entries) {
    const [ip = '', bits] = entry.split('/');
    const family = isIPv4(ip) ? 'ipv4' : 'ipv6';
    blocks.addSubnet(ip, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family);
  }
  return (remote) => {
    const plain = remote.startsWith('::ffff:') && isIPv4(remote.slice(7)) ? remote.slice(7) : remote;
    return isIP(plain) !== 0 && blocks.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
  };
}
