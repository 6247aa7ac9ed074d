import { isIPv4, isIPv6 } from 'node:net';
import { getDomain } from 'tldts';
import { PipesError } from '../core/errors.ts';
import { joinFlatLabel, SEPARATOR, splitFlatLabel } from './flat-label.ts';
import { DEFAULT_TAG, makeReference, type Reference } from './reference.ts';

/** How hosts are cut into a base and what stands before it (INTERFACE 1). */
export interface HostRules {
  /** `DOMAIN`: the bases, lower-case; when there are any, no other host fits (but `localhost` always does). */
  readonly domains: readonly string[];
  /** `DOMAINLEVELS`: how many labels the base has; undefined: the registrable domain by the public suffix list. */
  readonly domainLevels: number | undefined;
  /** `PLATFORM_HOSTS`: hosts of the platform besides the built-in ones, lower-case. */
  readonly platformHosts: readonly string[];
}

/** What a host name means before anything is looked up. */
export type HostName =
  | { readonly kind: 'platform' }
  /** An IP address: means nothing but `/health`. */
  | { readonly kind: 'address' }
  | { readonly kind: 'reference'; readonly reference: Reference };

/**
 * Reads the value of a Host header.
 * @throws PipesError `host_malformed` (400), `host_unknown` (404); nothing else, whatever the bytes
 */
export function parseHostName(header: string, rules: HostRules): HostName {
  const host = normaliseHost(header);
  if (isIPv4(host) || host.startsWith('[')) return { kind: 'address' };
  const labels = host.split('.');
  if (rules.platformHosts.includes(host) || labels.length === 1) return { kind: 'platform' };
  const base = baseOf(host, labels, rules);
  if (base === undefined) throw unknown(host, 'it is below no base that pipes serves');
  if (host === base) return { kind: 'platform' };
  const before = host.slice(0, -base.length - 1);
  if (PLATFORM_LABELS.has(before)) return { kind: 'platform' };
  return { kind: 'reference', reference: readReference(before, host) };
}

/**
 * A Host header without port, trailing dot and upper case.
 * @throws PipesError `host_malformed`
 */
export function normaliseHost(header: string): string {
  const bracketed = /^(\[[0-9A-Fa-f:.]{2,45}\])(?::\d{0,5})?$/.exec(header)?.[1];
  if (bracketed !== undefined && isIPv6(bracketed.slice(1, -1))) return bracketed.toLowerCase();
  const match = /^([A-Za-z0-9._-]+?)\.?(?::(\d{0,5}))?$/.exec(header);
  const host = match?.[1]?.toLowerCase();
  if (host === undefined || Number(match?.[2] ?? 0) > 65535) throw malformed('it holds characters that no host name has');
  if (host.length > MAX_HOST_LENGTH) throw malformed(`it is longer than ${MAX_HOST_LENGTH} characters`);
  for (const label of host.split('.')) {
    if (label === '') throw malformed('two dots follow each other, or it begins with one');
    if (label.length > MAX_LABEL_LENGTH) throw malformed(`a label of it is longer than ${MAX_LABEL_LENGTH} characters`);
  }
  return host;
}

/**
 * `<tag>.<repo>.<user>.<base>`, without the tag when it is `latest`. Undefined when the plain form cannot carry the reference:
 * upper case or empty labels in the tag, a dot in user or repo, too long.
 */
export function printPlainHost(reference: Reference, base: string): string | undefined {
  const { user, repo, tag } = reference;
  if (user.includes('.') || repo.includes('.') || tag !== tag.toLowerCase()) return undefined;
  return asHost([...(tag === DEFAULT_TAG ? [] : [tag]), repo, user, base].join('.'));
}

/** `<tag>--<repo>--<user>.<base>`. Undefined only when the label would be longer than the 63 octets of RFC 1035, 2.3.4. */
export function printFlatHost(reference: Reference, base: string): string | undefined {
  const { user, repo, tag } = reference;
  return asHost(`${joinFlatLabel(tag === DEFAULT_TAG ? [repo, user] : [tag, repo, user])}.${base}`);
}

/** RFC 1035, 2.3.4. */
const MAX_LABEL_LENGTH = 63;
/** The longest name that fits 255 octets on the wire (RFC 1035, 2.3.4). */
const MAX_HOST_LENGTH = 253;

/** `peroku` and `torokko` are the programs whose clients pipes also serves. */
const PLATFORM_LABELS: ReadonlySet<string> = new Set(['pipes', 'peroku', 'torokko']);

function asHost(host: string): string | undefined {
  const fits = host.length <= MAX_HOST_LENGTH && host.split('.').every((label) => label !== '' && label.length <= MAX_LABEL_LENGTH);
  return fits ? host : undefined;
}

function baseOf(host: string, labels: readonly string[], rules: HostRules): string | undefined {
  if (labels.at(-1) === 'localhost') return 'localhost';
  if (rules.domains.length > 0) {
    const fitting = rules.domains.filter((domain) => host === domain || host.endsWith(`.${domain}`));
    return fitting.sort((a, b) => b.length - a.length)[0];
  }
  if (rules.domainLevels !== undefined) {
    return labels.length < rules.domainLevels ? undefined : labels.slice(-rules.domainLevels).join('.');
  }
  return getDomain(host, { allowPrivateDomains: true, validHosts: ['localhost'], validateHostname: false }) ?? undefined;
}

function readReference(before: string, host: string): Reference {
  const labels = before.split('.');
  const names = labels.length === 1 ? flatNames(before, host) : [labels.slice(0, -2).join('.'), labels.at(-2)!, labels.at(-1)!];
  const [tag, repo, user] = names;
  const reference = makeReference(user!, repo!, tag === '' ? DEFAULT_TAG : tag!);
  if (!reference) throw unknown(host, `"${user!}/${repo!}${tag === '' ? '' : `:${tag!}`}" is not a valid image name`);
  return reference;
}

/** Tag (empty for none), repo and user of a single label. One that begins `xn--` is an international name; the flat form writes none such. */
function flatNames(label: string, host: string): [string, string, string] {
  const names = label.includes(SEPARATOR) && !label.startsWith('xn--') ? splitFlatLabel(label) : undefined;
  if (names?.length === 2) return ['', names[0]!, names[1]!];
  if (names?.length === 3) return [names[0]!, names[1]!, names[2]!];
  throw unknown(host, 'nothing is bound to it');
}

function malformed(why: string): PipesError {
  return new PipesError('host_malformed', `The Host header is not a host name: ${why}.`);
}

function unknown(host: string, why: string): PipesError {
  return new PipesError('host_unknown', `${host} names nothing here: ${why}. Write <tag>.<repo>.<user>.<base> or <repo>.<user>.<base>.`);
}
