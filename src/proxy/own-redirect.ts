import { LOCAL_PREFIX } from './request-target.ts';

/**
 * Whether a redirect could send a client to pipes' own paths. One that follows redirects keeps its `Authorization` on the same
 * host, so an app could else make its visitors' tokens work for it. Told apart generously, since clients resolve what they
 * get in many ways: dot segments, several slashes, backslashes, blanks inside, encoded letters.
 */
export function leadsToPipes(location: string): boolean {
  const path = location.replace(/[?#].*$/s, '').replace(/\s/g, '');
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))).split(/[/\\]/).includes(OWN_SEGMENT);
}

const OWN_SEGMENT = LOCAL_PREFIX.slice(1);
