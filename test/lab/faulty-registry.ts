import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What befalls an answer of the registry. */
export type RegistryFault =
  /** It never comes. */
  | { readonly kind: 'silence' }
  /** The connection is reset instead. */
  | { readonly kind: 'reset' }
  /** So many bytes of its body come, then nothing, or the end of the connection. */
  | { readonly kind: 'hang-after' | 'cut-after'; readonly bytes: number }
  /** Its body is another one of the same length. */
  | { readonly kind: 'tamper' }
  /** Another answer with that status comes in its place, so many times. */
  | { readonly kind: 'status'; readonly status: number; readonly times: number };

/** An address in front of a real registry, at which faults can be set that no real registry makes on demand. */
export interface FaultyRegistry {
  /** `127.0.0.1:port`, as image names begin. */
  readonly host: string;
  /** From here on GET and HEAD whose path fits meet this. */
  set(path: RegExp, fault: RegistryFault): void;
  /** Takes back what was set for that path, and ends what hangs. */
  heal(path: RegExp): void;
  close(): Promise<void>;
}

/** @param registry `127.0.0.1:port` of the real one */
export async function openFaultyRegistry(registry: string): Promise<FaultyRegistry> {
  const faults = new Map<string, { readonly path: RegExp; readonly fault: RegistryFault; left: number }>();
  const hanging = new Set<ServerResponse>();
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 1_000 }, (request, response) => {
    request.on('error', () => response.destroy());
    response.on('error', () => undefined);
    response.once('close', () => hanging.delete(response));
    const entry = request.method === 'GET' || request.method === 'HEAD' ? [...faults.values()].find(({ path }) => path.test(request.url!)) : undefined;
    const fault = entry !== undefined && entry.left > 0 ? entry.fault : undefined;
    if (entry) entry.left -= 1;
    if (fault?.kind === 'silence') return void hanging.add(response);
    if (fault?.kind === 'reset') return void request.socket.resetAndDestroy();
    if (fault?.kind === 'status') return void response.writeHead(fault.status, { 'content-type': 'application/json' }).end('{"errors":[{"code":"UNKNOWN","message":"made by the test"}]}');
    passOn(request, response, registry, fault, hanging);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (path, fault) => void faults.set(path.source, { path, fault, left: fault.kind === 'status' ? fault.times : Infinity }),
    heal: (path) => {
      faults.delete(path.source);
      for (const response of hanging) if (path.test(response.req.url!)) response.destroy();
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function passOn(request: IncomingMessage, response: ServerResponse, registry: string, fault: RegistryFault | undefined, hanging: Set<ServerResponse>): void {
  const [host, port] = registry.split(':');
  // With the client's Host, so that addresses in the answers lead back here.
  const outgoing = httpRequest({ host, port, method: request.method, path: request.url, headers: request.headers, agent: false }, (answer) => {
    answer.on('error', () => response.destroy());
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (fault === undefined || request.method === 'HEAD') return void answer.pipe(response);
    void answer.toArray().then((chunks: Buffer[]) => {
      const body = Buffer.concat(chunks);
      if (fault.kind === 'tamper') return void response.end(Buffer.from(body.map((byte, index) => (index === body.length >> 1 ? byte ^ 1 : byte))));
      if (fault.kind !== 'hang-after' && fault.kind !== 'cut-after') return;
      response.write(body.subarray(0, fault.bytes), () => {
        if (fault.kind === 'cut-after') response.destroy();
        else hanging.add(response);
      });
    }, () => response.destroy());
  });
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  request.pipe(outgoing);
}
