import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PipesError } from '../../../src/core/errors.ts';
import { sendError, sendErrorOnSocket } from '../../../src/proxy/pages.ts';
import { header, headLines, RawClient } from './rig.ts';

const EVIL = new PipesError('image_not_found', 'No <b>"image"</b> & \'tag\' called </p><script>x()</script>.', { privateDetail: ['last <line>'] });

let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let clients: RawClient[];

beforeEach(async () => {
  clients = [];
  answer = (request, response) => sendError(request, response, EVIL);
  server = createServer((request, response) => answer(request, response));
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => sendErrorOnSocket(request, socket, EVIL));
  server.on('clientError', (_error, socket) => sendErrorOnSocket(undefined, socket, new PipesError('invalid_request', 'Not HTTP.')));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  for (const client of clients) client.socket.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function connected(): Promise<RawClient> {
  const client = await RawClient.connect((server.address() as AddressInfo).port);
  clients.push(client);
  return client;
}

async function get(accept: string): Promise<{ text: string; body: string }> {
  const client = await connected();
  const { text } = await client.send(`GET / HTTP/1.1\r\nHost: a\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`).untilEnd();
  return { text, body: text.slice(text.indexOf('\r\n\r\n') + 4) };
}

describe('sendError', () => {
  it('is a problem document by default', async () => {
    const { text, body } = await get('*/*');
    expect(headLines(text)[0]).toBe('HTTP/1.1 404 Not Found');
    expect(header(text, 'Content-Type')).toBe('application/problem+json');
    expect(header(text, 'Cache-Control')).toBe('no-store');
    expect(header(text, 'Content-Length')).toBe(String(body.length));
    expect(JSON.parse(body)).toEqual({ type: 'about:blank', title: EVIL.title, status: 404, detail: EVIL.message, code: 'image_not_found' });
  });

  it('is a page for a browser, with every value escaped, nothing loaded and nothing run', async () => {
    const { text, body } = await get('text/html,*/*;q=0.8');
    expect(header(text, 'Content-Type')).toBe('text/html; charset=utf-8');
    expect(header(text, 'Content-Security-Policy')).toContain("default-src 'none'");
    expect(body).toContain('&lt;script&gt;x()&lt;/script&gt;');
    expect(body).not.toMatch(/<script|<b>|src=|href=|url\(/);
    expect(body).toContain('prefers-color-scheme:dark');
    expect(body).toContain('<html lang="en">');
    expect(body).toContain('image_not_found');
    expect(body).not.toContain('last');
  });

  it('is text for who takes neither', async () => {
    const { text, body } = await get('image/png');
    expect(header(text, 'Content-Type')).toBe('text/plain; charset=utf-8');
    expect(body).toBe(`404 ${EVIL.title} (image_not_found)\n${EVIL.message}\n`);
  });

  it.each(['application/json', 'text/html', 'text/plain'])('tells insiders the private part as %s', async (accept) => {
    answer = (request, response) => sendError(request, response, EVIL, { forInsiders: true });
    expect((await get(accept)).body).toMatch(/last (?:<|&lt;)line(?:>|&gt;)/);
  });

  it('says when to come again', async () => {
    answer = (request, response) => sendError(request, response, new PipesError('queue_full', 'Later.', { retryAfterS: 1.2 }));
    expect(header((await get('*/*')).text, 'Retry-After')).toBe('2');
  });

  it('has no body for HEAD, and the connection serves on', async () => {
    const client = await connected();
    await client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n').until('\r\n\r\n');
    expect(client.text.endsWith('\r\n\r\n')).toBe(true);
    expect(Number(header(client.text, 'Content-Length'))).toBeGreaterThan(50);
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until('"code"');
  });

  it('a small body that is still to come does not end the connection', async () => {
    const client = await connected();
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhi').until('"code"');
    client.send('hoGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/"code"[^]*"code"/);
  });

  it('a body that has arrived does not end the connection', async () => {
    const client = await connected();
    answer = (request, response) => setImmediate(() => sendError(request, response, EVIL));
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi').until('"code"');
    expect(header(client.text, 'Connection')).toBe('keep-alive');
    client.send('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/"code"[^]*"code"/);
  });

  it('a client that sends a large body gets the whole answer, and no reset', async () => {
    const client = await connected();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n');
    await client.until('"code"');
    expect(header(client.text, 'Connection')).toBe('close');
    client.send(Buffer.alloc(20_000_000));
    expect((await client.untilEnd()).ending).toBe('end');
  });

  it('a client that sends nothing of its body gets the whole answer at once, also as HEAD', async () => {
    const client = await connected();
    await client.send('HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n').until('\r\n\r\n');
    client.socket.end();
    expect((await client.untilEnd()).text.endsWith('\r\n\r\n')).toBe(true);
  });

  it('cuts the connection where a head has gone out', async () => {
    answer = (request, response) => {
      response.writeHead(200);
      response.write('half');
      setImmediate(() => sendError(request, response, EVIL));
    };
    const client = await connected();
    const { text } = await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').untilEnd();
    expect(text).not.toContain('\r\n0\r\n');
    expect(text).not.toContain('"code"');
  });

  it('names the reason of its own status, whatever the response had before', async () => {
    answer = (request, response) => {
      response.statusMessage = 'Left over';
      sendError(request, response, EVIL);
    };
    expect(headLines((await get('*/*')).text)[0]).toBe('HTTP/1.1 404 Not Found');
  });
});

describe('sendErrorOnSocket', () => {
  it('answers a refused upgrade in the form that was asked for, and ends the connection', async () => {
    const client = await connected();
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nAccept: text/html\r\n\r\nearly bytes');
    const { ending, text } = await client.untilEnd();
    expect(ending).toBe('end');
    expect(headLines(text)[0]).toBe('HTTP/1.1 404 Not Found');
    expect(header(text, 'Connection')).toBe('close');
    expect(header(text, 'Content-Type')).toBe('text/html; charset=utf-8');
    expect(text).toContain('</html>');
  });

  it('answers what is no HTTP', async () => {
    const client = await connected();
    const { ending, text } = await client.send('NOT HTTP AT ALL\r\n\r\n').untilEnd();
    expect(ending).toBe('end');
    expect(headLines(text)[0]).toBe('HTTP/1.1 400 Bad Request');
    expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).toMatchObject({ code: 'invalid_request' });
  });

  it('writes nothing into an answer that has begun', async () => {
    answer = (_request, response) => {
      response.writeHead(200);
      response.write('half');
    };
    const client = await connected();
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n').until('half');
    const { text } = await client.send('no chunk\r\n').untilEnd();
    expect(text).not.toContain('400');
  });
});
