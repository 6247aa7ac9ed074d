import { afterEach, describe, expect, it } from 'vitest';
import { header, headLines, listen, Rig } from './rig.ts';

let rig: Rig;
afterEach(() => rig.stop());

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** What the upstream was sent for exactly this request. */
async function sentFor(requestText: string, options: Parameters<typeof Rig.raw>[1] = {}): Promise<string> {
  let heard: ReturnType<typeof listen> | undefined;
  rig = await Rig.raw((socket) => {
    heard = listen(socket);
    void heard.until('\r\n\r\n').then(() => socket.write(OK));
  }, options);
  const client = await rig.client();
  client.send(requestText);
  await client.until('\r\n\r\nok');
  return heard!.text();
}

describe('the request as the upstream sees it', () => {
  it('keeps target, case, order and duplicates of headers', async () => {
    const text = await sentFor('GET /a//b?a?b=%2F&c#x HTTP/1.1\r\nhOsT: Main.web.alice.localhost:8080\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n');
    const lines = headLines(text);
    expect(lines[0]).toBe('GET /a//b?a?b=%2F&c#x HTTP/1.1');
    expect(lines.slice(1, 7)).toEqual(['hOsT: Main.web.alice.localhost:8080', 'X-B: 1', 'x-a: 2', 'X-B: 3', 'Cookie: a=1', 'Cookie: b=2']);
  });

  it('keeps bytes beyond ASCII in values', async () => {
    const text = await sentFor('GET / HTTP/1.1\r\nHost: a\r\nX-Name: J\xf6rg\r\n\r\n');
    expect(header(text, 'X-Name')).toBe('J\xf6rg');
  });

  it.each(['OPTIONS', 'DELETE', 'TRACE', 'HEAD', 'GET', 'PROPFIND', 'M-SEARCH', 'PATCH', 'POST', 'PUT'])('passes %s without a body, and adds no framing that would mean one', async (method) => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => {
      heard = listen(socket);
      void heard.until('\r\n\r\n').then(() => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
    });
    const client = await rig.client();
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.until('\r\n\r\n');
    const text = heard!.text();
    expect(headLines(text)[0]).toBe(`${method} / HTTP/1.1`);
    expect(header(text, 'Transfer-Encoding')).toBeUndefined();
    expect([undefined, '0']).toContain(header(text, 'Content-Length'));
  });

  it('removes hop-by-hop fields and what Connection names', async () => {
    const text = await sentFor('GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\nX-Secret: 1\r\nX-Kept: 2\r\n\r\n');
    for (const name of ['Keep-Alive', 'Proxy-Connection', 'Proxy-Authorization', 'TE', 'X-Secret', 'Upgrade']) expect(header(text, name), name).toBeUndefined();
    expect(header(text, 'X-Kept')).toBe('2');
  });

  it('does not let Connection name away what pipes vouches for', async () => {
    const text = await sentFor('POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length, X-Forwarded-For, X-Forwarded-Host, Forwarded, Via, X-Request-Id\r\nContent-Length: 2\r\n\r\nhi');
    expect(header(text, 'Host')).toBe('a');
    expect(header(text, 'Content-Length')).toBe('2');
    for (const name of ['X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'Via', 'X-Request-Id']) expect(header(text, name), name).toBeDefined();
    expect(text.endsWith('\r\n\r\nhi')).toBe(true);
  });

  it('passes readiness for trailers, and announces it for its own hop', async () => {
    const text = await sentFor('GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=0.5, trailers\r\n\r\n');
    expect(header(text, 'TE')).toBe('trailers');
    expect(header(text, 'Connection')).toContain('TE');
  });

  it('says who asked, and does not believe an unknown peer', async () => {
    const text = await sentFor('GET / HTTP/1.1\r\nHost: web.alice.localhost:8080\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=evil\r\nVia: 1.1 evil\r\nX-Request-Id: evil\r\n\r\n');
    expect(header(text, 'X-Forwarded-For')).toBe('127.0.0.1');
    expect(header(text, 'X-Forwarded-Host')).toBe('web.alice.localhost:8080');
    expect(header(text, 'X-Forwarded-Proto')).toBe('http');
    expect(header(text, 'Forwarded')).toBe('for=127.0.0.1;host="web.alice.localhost:8080";proto=http');
    expect(header(text, 'X-Request-Id')).toBe('id-1');
    expect(header(text, 'Via')).toBe('1.1 pipes');
    expect(text).not.toMatch(/evil|6\.6\.6\.6|7\.7\.7\.7/);
  });

  it('appends to what a trusted peer says', async () => {
    const text = await sentFor('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example.com\r\nForwarded: for=9.9.9.9\r\nVia: 2 edge\r\n\r\n', { trustProxy: (address) => address === '127.0.0.1' });
    expect(header(text, 'X-Forwarded-For')).toBe('9.9.9.9, 8.8.8.8, 127.0.0.1');
    expect(header(text, 'X-Forwarded-Proto')).toBe('https');
    expect(header(text, 'X-Forwarded-Host')).toBe('shop.example.com');
    expect(header(text, 'Forwarded')).toBe('for=9.9.9.9, for=127.0.0.1;host=a;proto=http');
    expect(header(text, 'Via')).toBe('2 edge, 1.1 pipes');
  });

  it('keeps an Authorization of the application and drops one of pipes', async () => {
    const theirs = await sentFor('GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer theirs\r\n\r\n');
    expect(header(theirs, 'Authorization')).toBe('Bearer theirs');
    await rig.stop();
    const ours = await sentFor('GET / HTTP/1.1\r\nHost: a\r\nauthorization: Bearer pipes_abc\r\n\r\n');
    expect(header(ours, 'Authorization')).toBeUndefined();
    expect(ours).not.toContain('pipes_abc');
  });

  it('takes a head of nearly the limit of Node', async () => {
    const text = await sentFor(`GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${'x'.repeat(15_000)}\r\n\r\n`);
    expect(header(text, 'X-Big')).toHaveLength(15_000);
  });

  it.each(['GET', 'DELETE'])('passes a body on %s with its length', async (method) => {
    const text = await sentFor(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
    expect(header(text, 'Content-Length')).toBe('5');
    expect(text.endsWith('\r\n\r\nhello')).toBe(true);
  });

  it('passes a body to an HTTP/1.0 client\'s wish, and the answer without keep-alive', async () => {
    rig = await Rig.http((request, response) => request.on('data', (chunk: Buffer) => response.write(chunk)).on('end', () => response.end('!')));
    const client = await rig.client();
    client.send('POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    const { ending, text } = await client.untilEnd();
    expect(ending).toBe('end');
    expect(header(text, 'Connection')).toBe('close');
    expect(header(text, 'Transfer-Encoding')).toBeUndefined();
    expect(text.endsWith('\r\n\r\nabc!')).toBe(true);
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 200 });
  });

  it('names the version it was asked with in Via', async () => {
    const text = await sentFor('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    expect(header(text, 'Via')).toBe('1.0 pipes');
  });
});

describe('bodies and trailers on their way in', () => {
  it('streams chunks as they come, and the trailers after them', async () => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => {
      heard = listen(socket);
      void heard.until('X-Sum: 42\r\n\r\n').then(() => socket.write(OK));
    });
    const client = await rig.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n');
    await until(() => heard !== undefined);
    await heard!.until('\r\n\r\n');
    client.send('5\r\nhello\r\n');
    await heard!.until('hello');
    client.send('0\r\nX-Sum: 42\r\nCookie: a=1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n');
    await client.until('\r\n\r\nok');
    const text = heard!.text();
    expect(header(text, 'Trailer')).toBe('X-Sum');
    expect(header(text, 'Transfer-Encoding')).toBe('chunked');
    expect(text.endsWith('5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n')).toBe(true);
    expect((await rig.end()).stats).toMatchObject({ bytesIn: 5, bytesOut: 2, status: 200 });
  });

  it('passes trailers that come in one packet with the rest', async () => {
    const text = await sentWhole('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-T: 1\r\nx-T: 2\r\n\r\n', 'x-T: 2\r\n\r\n');
    expect(text.endsWith('2\r\nhi\r\n0\r\nx-T: 1\r\nx-T: 2\r\n\r\n')).toBe(true);
  });

  it('drops an announcement of trailers where no chunk can carry them', async () => {
    const text = await sentFor('POST / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nContent-Length: 1\r\n\r\nx');
    expect(header(text, 'Trailer')).toBeUndefined();
  });

  it('passes an empty chunked body as such', async () => {
    const text = await sentWhole('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', /\r\n\r\n0\r\n\r\n$/);
    expect(header(text, 'Content-Length')).toBeUndefined();
  });

  it('lets the upstream say 100, and sends the body only then', async () => {
    let heard: ReturnType<typeof listen> | undefined;
    let back: import('node:net').Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      heard = listen(socket);
    });
    const client = await rig.client();
    client.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    await until(() => heard !== undefined);
    await heard!.until('\r\n\r\n');
    expect(header(heard!.text(), 'Expect')).toBe('100-continue');
    expect(client.text).toBe('');
    back!.write('HTTP/1.1 100 Continue\r\n\r\n');
    await client.until('HTTP/1.1 100 Continue\r\n\r\n');
    client.send('body');
    await heard!.until('body');
    back!.write(OK);
    await client.until('\r\n\r\nok');
    expect(client.text.startsWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n')).toBe(true);
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 200 });
  });

  it('passes a refusal instead of 100 without asking for the body', async () => {
    rig = await Rig.says('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno');
    const client = await rig.client();
    client.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    const { text } = await client.untilEnd();
    expect(text.startsWith('HTTP/1.1 417 Expectation Failed\r\n')).toBe(true);
    expect(text).not.toContain('100 Continue');
    client.socket.end();
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 417 });
  });

  it('takes an early answer while the body still goes up, and goes on sending it', async () => {
    let heard: ReturnType<typeof listen> | undefined;
    rig = await Rig.raw((socket) => {
      heard = listen(socket);
      void heard.until('\r\n\r\n').then(() => socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly'));
    });
    const client = await rig.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf');
    await client.until('early');
    client.send('rest');
    await heard!.until('halfrest');
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 202 });
    client.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
    await heard!.until('GET /next');
  });

  it('goes on sending a body larger than all buffers when the answer is whole already', async () => {
    const sizeBytes = 20_000_000;
    let resumeUpstream: (() => void) | undefined;
    let tellAll: (() => void) | undefined;
    const gotAll = new Promise<void>((resolve) => (tellAll = resolve));
    rig = await Rig.raw((socket) => {
      let gotBytes = 0;
      socket.on('data', (chunk: Buffer) => {
        gotBytes += chunk.length;
        if (gotBytes > sizeBytes) tellAll!();
      });
      socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly');
      });
      resumeUpstream = () => socket.resume();
    });
    const client = await rig.client();
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${sizeBytes}\r\n\r\n`);
    client.send(Buffer.alloc(sizeBytes));
    await client.until('early');
    resumeUpstream!();
    await gotAll;
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 202 });
  });

  it('gives the client an early refusal whole, though the upstream closes with the body unread', async () => {
    rig = await Rig.raw((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig'));
    });
    const client = await rig.client();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\nx');
    await client.until('\r\n\r\nbig');
    client.send(Buffer.alloc(1_000_000));
    client.socket.end();
    await client.untilEnd();
    expect(client.ending).toBe('end');
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 413 });
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** As `sentFor`, for an upstream that answers only once it has heard this. */
async function sentWhole(requestText: string, what: string | RegExp): Promise<string> {
  let heard: ReturnType<typeof listen> | undefined;
  rig = await Rig.raw((socket) => {
    heard = listen(socket);
    void heard.until(what).then(() => socket.write(OK));
  });
  const client = await rig.client();
  client.send(requestText);
  await client.until('\r\n\r\nok');
  return heard!.text();
}
