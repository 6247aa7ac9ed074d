import { domainToASCII } from 'node:url';

/**
 * What is wrong with a text as a host name that can be bound, as the rest of a sentence; undefined when nothing is. International names may
 * be written as people do; everything else must stand as it is kept, so that no two texts mean one name by surprise.
 */
export function domainFault(text: string): string | undefined {
  if (text === '') return 'must not be empty';
  if (text.includes('*')) return 'must be one host name: wildcards cannot be bound';
  if (/[:/\s@?#[\]\\%]/.test(text)) return 'must be a host name alone, without scheme, port, path or spaces';
  if (text !== text.toLowerCase()) return 'must be in lower case';
  if (text.endsWith('.')) return 'must not end with a dot';
  const domain = asciiDomain(text);
  // As browsers read them (WHATWG URL, 3.5, "ends in a number"): what ends in a number is an address or nothing.
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(domain === '' ? text : domain)) return 'must be a host name, not an IP address';
  if (domain === '') return 'is no host name (of an international one, a label cannot be written in ASCII)';
  if (domain.length > MAX_DOMAIN_LENGTH) return `must not be longer than ${MAX_DOMAIN_LENGTH} characters`;
  const faulty = domain.split('.').find((label) => !LABEL.test(label));
  if (faulty === undefined) return undefined;
  return faulty === '' ? 'must have no two dots after each other, and none at its beginning' : `has a label that is none: "${faulty}" (up to 63 letters, digits and hyphens, no hyphen at its ends)`;
}

/** The name as it is sent in a Host header: an international one in ASCII (`xn--…`, RFC 5890); empty when it has no such form. */
export function asciiDomain(text: string): string {
  const isAscii = /^[\x21-\x7e]*$/.test(text);
  if (isAscii && !/(?:^|\.)xn--/.test(text)) return text;
  const domain = domainToASCII(text);
  // What is in ASCII already has to be the one way to write that name.
  return isAscii && domain !== text ? '' : domain;
}

/** RFC 1123, 2.1 and RFC 1035, 2.3.4. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_DOMAIN_LENGTH = 253;
