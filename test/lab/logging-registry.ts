import { createServer, request as httpRequest, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as it came. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  /** `engine` or `pipes`: each speaks to registries itself. */
  readonly by: 'engine' | 'pipes';
}

/** A registry, or what stands for one, that writes down what it is asked and with whose login. */
export interface LoggingRegistry {
  /** `127.0.0.x:port`, as image names begin. */
  readonly host: string;
  readonly requests: LoggedRequest[];
  /** Each login that it was sent, once: `user:password`, or the whole value where that is not Basic. */
  logins(): string[];
  close(): Promise<void>;
}

/** In front of a real registry: every request goes on to it, with the Host that it was sent to. */
export async function logRegistry(to: string): Promise<LoggingRegistry> {
  const [host, port] = to.split(':');
  return await logged('127.0.0.1', (request, response) => {
    const { method, url: path, headers } = request;
    const outgoing = httpRequest({ host, port, method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    request.pipe(outgoing);
  });
}

/** Answers as it is told to. @param address of loopback; clients tell machines apart by address, not by port */
export async function fakeRegistry(address: string, answer: RequestListener): Promise<LoggingRegistry> {
  return await logged(address, answer);
}

async function logged(address: string, listener: RequestListener): Promise<LoggingRegistry> {
  const requests: LoggedRequest[] = [];
  const server = createServer((request, response) => {
    requests.push({ method: request.method ?? '', path: request.url ?? '', authorization: request.headers.authorization, by: callerOf(request) });
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    host: `${address}:${(server.address() as AddressInfo).port}`,
    requests,
    logins: () => [...new Set(requests.flatMap(({ authorization }) => (authorization === undefined ? [] : [readable(authorization)])))],
    close: () => closed(server),
  };
}

function callerOf({ headers }: IncomingMessage): LoggedRequest['by'] {
  return /^docker\//.test(headers['user-agent'] ?? '') ? 'engine' : 'pipes';
}

function readable(authorization: string): string {
  const basic = /^Basic (.+)$/i.exec(authorization)?.[1];
  return basic === undefined ? authorization : Buffer.from(basic, 'base64').toString();
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
