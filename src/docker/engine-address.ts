/** Where an engine listens. */
export type EngineAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const DEFAULT_ENGINE = '/var/run/docker.sock';

/** Reads `DOCKER_HOST`: a path, `unix://…`, `tcp://host[:port]`, `http(s)://…`, or `host:port`. Undefined for all else, ssh too. */
export function parseEngineAddress(text: string | undefined): EngineAddress | undefined {
  const address = text === undefined || text === '' ? DEFAULT_ENGINE : text;
  if (address.startsWith('/')) return { kind: 'socket', path: address };
  if (address.startsWith('unix://')) return { kind: 'socket', path: address.slice('unix://'.length) || DEFAULT_ENGINE };
  const match = /^(?:(tcp|https?):\/\/)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?\/?$/.exec(address);
  if (!match || (match[1] === undefined && match[3] === undefined)) return undefined;
  const port = Number(match[3] ?? (match[1] === 'https' ? 2376 : 2375));
  return port > 0 && port < 65536 ? { kind: 'tcp', host: match[2]!.replace(/^\[|\]$/g, ''), port } : undefined;
}

export function printEngineAddress(address: EngineAddress): string {
  if (address.kind === 'socket') return `unix://${address.path}`;
  return `tcp://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
