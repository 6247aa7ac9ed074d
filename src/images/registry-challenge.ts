/** What a registry answers with 401: how it wants to be asked (RFC 9110 section 11.6.1, `WWW-Authenticate`). */
export type RegistryChallenge =
  | { readonly scheme: 'basic' }
  /** Distribution's token flow: ask `realm` for a token for `service` and `scope`. */
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined; readonly scope: string | undefined };

/** The challenge that can be answered, Bearer before Basic; undefined when there is none. */
export function parseChallenge(header: string | null): RegistryChallenge | undefined {
  const challenges = splitChallenges(header ?? '');
  const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'));
  if (bearer) {
    const { parameters } = bearer;
    return { scheme: 'bearer', realm: parameters.get('realm')!, service: parameters.get('service'), scope: parameters.get('scope') };
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined;
}

interface Challenge {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

/** Several challenges may stand in one line, parted by the same commas as the parameters; a bare word followed by a space begins one. */
function splitChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const part = /([A-Za-z0-9._~+/-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;
  for (const [, name = '', quoted, bare] of header.matchAll(part)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? bare;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    else challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
  }
  return challenges;
}
