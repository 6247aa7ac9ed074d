import { isIP } from 'node:net';
import { CliError } from './cli-error.ts';

/** Where a pipes is: its platform's URL, and the base that its targets' hosts end in. */
export interface PipesAddress {
  readonly url: URL;
  readonly base: string;
}

export const DEFAULT_URL = 'http://localhost:8080';

/**
 * Reads `PIPES_URL`. The base is its host, without the label of a platform host.
 * @throws CliError
 */
export function readPipesUrl(text: string = DEFAULT_URL): PipesAddress {
  const written = text === '' ? DEFAULT_URL : text;
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(`PIPES_URL "${written}" is not a URL such as ${DEFAULT_URL}.`);
  }
  if (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0) {
    throw new CliError(`PIPES_URL "${written}" must have a host name, since hosts tell pipes what is meant; for this machine write ${DEFAULT_URL}.`);
  }
  if (url.hostname.endsWith('.localhost')) return { url, base: 'localhost' };
  return { url, base: url.hostname.replace(/^(?:pipes|peroku|torokko)\.(?=.)/, '') };
}
