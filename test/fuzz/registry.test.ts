import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RegistryClient } from '../../src/images/registry-client.ts';
import { check, within } from './fuzzing.ts';
import { anyBytes, anyJson, bent, broken, oddText, pieces, textOf } from './inputs.ts';

/** A registry that answers each connection with the next of these, in pieces, and then ends it or falls silent. */
interface Script {
  readonly answers: readonly (readonly Buffer[])[];
  readonly end: 'close' | 'reset' | 'silent' | 'forever';
}

let server: Server;
let host: string;
let script: Script;
let connections = 0;
const open = new Set<Socket>();

beforeAll(async () => {
  server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    socket.once('data', () => void say(socket, script.answers[Math.min(connections++, script.answers.length - 1)]!));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

async function say(socket: Socket, chunks: readonly Buffer[]): Promise<void> {
  const { end } = script;
  for (const chunk of chunks) await new Promise((resolve) => socket.write(chunk, resolve));
  if (end === 'close') socket.end();
  else if (end === 'reset') socket.resetAndDestroy();
  else while (end === 'forever' && !socket.destroyed) await new Promise((resolve) => socket.write(FILLING, resolve));
}
const FILLING = Buffer.from(`"${'x'.repeat(65_533)}",`);

const status = fc.oneof(fc.constantFrom(200, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 416, 429, 500, 503, 599), fc.integer({ min: 100, max: 999 }));
const value = oddText.map((text) => text.replace(/[^\x20-\x7e]/g, ''));
const header = fc.oneof(
  fc.tuple(fc.constantFrom('Docker-Content-Digest', 'Link', 'WWW-Authenticate', 'Location', 'Content-Encoding', 'Content-Type', 'Transfer-Encoding'), value).map(([name, text]) => `${name}: ${text}`),
  value.map((realm) => `WWW-Authenticate: Bearer realm="${realm}",service="x"`),
  fc.constantFrom('WWW-Authenticate: Basic', 'Content-Encoding: gzip', 'Transfer-Encoding: chunked', 'Location: http://127.0.0.1:1/', 'Link: </v2/x/tags/list?last=1>; rel="next"', `Docker-Content-Digest: sha256:${'a'.repeat(64)}`, 'Docker-Content-Digest: sha256:x', 'Content-Length: 999999999999', 'Content-Length: -1'),
);
const body = fc.oneof(
  bent({ name: 'alice/web', tags: ['main', 'v1', 'Release'] }).map((document) => Buffer.from(textOf(document))),
  anyJson.map((document) => Buffer.from(JSON.stringify(document))),
  bent({ token: 'abc', access_token: 'def' }).map((document) => Buffer.from(textOf(document))),
  anyBytes,
);
const whole = fc.tuple(status, fc.array(header, { maxLength: 3 }), body, fc.boolean()).map(([code, headers, bytes, hasLength]) =>
  Buffer.concat([Buffer.from(`HTTP/1.1 ${code} X\r\n${headers.map((line) => `${line}\r\n`).join('')}${hasLength ? `Content-Length: ${bytes.length}\r\n` : ''}Connection: close\r\n\r\n`), bytes]),
);
const answer = fc.oneof(whole, whole.chain(broken), anyBytes).chain(pieces);

const KNOWN = ['image_not_found', 'registry_denied', 'registry_unavailable'];

describe('a registry that answers anything', () => {
  it('gives tags and digests, or one of the errors that registries have, in time', async () => {
    const client = new RegistryClient({ timeoutMs: 200 });
    const ends = fc.oneof({ weight: 30, arbitrary: fc.constant<Script['end']>('close') }, { weight: 3, arbitrary: fc.constant<Script['end']>('reset') }, { weight: 1, arbitrary: fc.constantFrom<Script['end']>('silent', 'forever') });
    await check(
      fc.asyncProperty(fc.record({ answers: fc.array(answer, { minLength: 1, maxLength: 3 }), end: ends }), fc.boolean(), async (next, withLogin) => {
        script = next;
        connections = 0;
        const ref = { registry: host, repository: 'alice/web', tag: 'main' };
        const login = withLogin ? { registry: host, username: 'alice', password: 'secret' } : undefined;
        const signal = new AbortController().signal;
        for (const question of [(): Promise<string | string[]> => client.tags(ref, login, signal), () => client.digest(ref, login, signal)]) {
          try {
            const told = await within(20_000, 'a question', question());
            if (Array.isArray(told)) for (const tag of told) expect(tag).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
            else expect(told).toMatch(/^[a-z0-9+._-]+:[A-Za-z0-9=_-]+$/);
          } catch (thrown) {
            expect(KNOWN, String((thrown as Error).stack)).toContain((thrown as { code?: string }).code);
          }
        }
      }),
      250,
    );
  });

  it('is not read without end', async () => {
    script = { answers: [[Buffer.from('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"tags":[')]], end: 'forever' };
    connections = 0;
    const before = process.memoryUsage().rss;
    await expect(new RegistryClient().tags({ registry: host, repository: 'alice/web' }, undefined, new AbortController().signal)).rejects.toMatchObject({ code: 'registry_unavailable' });
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20);
  });
});
