import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../lab/until.ts';
import { header, headLines, listen, Rig } from './rig.ts';

let rig: Rig;
afterEach(() => rig.stop());

/** What a client receives when the upstream says exactly this; waits for `what`. */
async function answerTo(answer: string, what: string | RegExp, request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'): Promise<string> {
  rig = await Rig.says(answer);
  const client = await rig.client();
  return client.send(request).until(what);
}

describe('the answer as the client sees it', () => {
  it('keeps status, reason, case, order and duplicates of headers', async () => {
    const text = await answerTo('HTTP/1.1 299 Quite Fine\r\nsEt-CooKie: a=1\r\nX-Z: 1\r\nSet-Cookie: b=2\r\nX-A: 2\r\nx-z: 3\r\ncontent-length: 2\r\nDate: now\r\n\r\nok', 'ok');
    expect(headLines(text).slice(0, 8)).toEqual(['HTTP/1.1 299 Quite Fine', 'sEt-CooKie: a=1', 'X-Z: 1', 'Set-Cookie: b=2', 'X-A: 2', 'x-z: 3', 'content-length: 2', 'Date: now']);
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 299 });
  });

  it('keeps an empty reason', async () => {
    expect(headLines(await answerTo('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', '\r\n\r\n'))[0]).toBe('HTTP/1.1 200 ');
  });

  it('removes hop-by-hop fields and what Connection names, but never the length', async () => {
    const text = await answerTo('HTTP/1.1 200 OK\r\nConnection: X-Gone, Content-Length\r\nX-Gone: 1\r\nKeep-Alive: timeout=77\r\nProxy-Authenticate: Basic\r\nUpgrade: h2\r\nContent-Length: 2\r\n\r\nok', 'ok');
    for (const name of ['X-Gone', 'Proxy-Authenticate', 'Upgrade']) expect(header(text, name), name).toBeUndefined();
    expect(header(text, 'Keep-Alive')).not.toContain('77');
    expect(header(text, 'Content-Length')).toBe('2');
  });

  it('frames an answer without a length for a client of HTTP/1.1', async () => {
    rig = await Rig.raw((socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end'));
    });
    const client = await rig.client();
    const text = await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until('\r\n0\r\n\r\n');
    expect(header(text, 'Transfer-Encoding')).toBe('chunked');
    expect(text).toContain('until the end');
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 200 });
  });

  it('leaves the end of the connection as the end of the body for a client of HTTP/1.0', async () => {
    rig = await Rig.says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    const client = await rig.client();
    const { ending, text } = await client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n').untilEnd();
    expect(ending).toBe('end');
    expect(text.endsWith('\r\n\r\nabc')).toBe(true);
  });

  it('passes trailers that come with the last chunk', async () => {
    const text = await answerTo('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\nSet-Cookie: a=1\r\n\r\n', /0\r\n(?:.+\r\n)*\r\n$/);
    expect(header(text, 'Trailer')).toBe('X-Sum');
    expect(text.endsWith('3\r\nabc\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\n')).toBe(true);
  });

  it('passes trailers that come late', async () => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'));
    });
    const client = await rig.client();
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until('abc');
    back!.write('0\r\nX-Sum: 7\r\n\r\n');
    await client.until('0\r\nX-Sum: 7\r\n\r\n');
  });

  it('does not stumble over a Trailer field where no trailer can follow', async () => {
    const text = await answerTo('HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok', 'ok');
    expect(header(text, 'Trailer')).toBeUndefined();
  });

  it.each([
    ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n', 'Content-Length', '1234'],
    ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: "x"\r\n\r\n', 'Content-Length', '99'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n', 'Content-Length', undefined],
    ['HEAD with chunked framing and trailers announced', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n', 'Content-Length', undefined],
    ['205', 'GET', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', 'Content-Length', '0'],
  ])('%s has no body, and the connection serves on', async (_name, method, answer, name, value) => {
    rig = await Rig.says(answer);
    const client = await rig.client();
    const text = await client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`).until('\r\n\r\n');
    expect(header(text, name)).toBe(value);
    expect(text.endsWith('\r\n\r\n')).toBe(true);
    expect((await rig.end()).end.kind).toBe('answered');
    client.send(`${method} /2 HTTP/1.1\r\nHost: a\r\n\r\n`);
    await rig.end(1);
    expect(rig.backSockets).toHaveLength(1);
  });

  it('relays 103 and other interim answers before the final one', async () => {
    const text = await answerTo('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-a: 1\r\nX-a: 2\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok');
    expect(text.startsWith('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-a: 1\r\nX-a: 2\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n')).toBe(true);
  });

  it('sends no interim answer to a client of HTTP/1.0', async () => {
    const text = await answerTo('HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    expect(text.startsWith('HTTP/1.1 200 OK\r\n')).toBe(true);
  });

  it('gives the head of a stream at once, and each event as it comes', async () => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'));
    });
    const client = await rig.client();
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until('\r\n\r\n');
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      back!.write(`9\r\n${event}\r\n`);
      await client.until(event);
    }
    expect(rig.endCount).toBe(0);
  });

  it('takes answers with a head of nearly the limit of Node, and names larger ones', async () => {
    const text = await answerTo(`HTTP/1.1 200 OK\r\nX-Big: ${'x'.repeat(15_000)}\r\nContent-Length: 2\r\n\r\nok`, '\r\n\r\nok');
    expect(header(text, 'X-Big')).toHaveLength(15_000);
    await rig.stop();
    const refused = await answerTo(`HTTP/1.1 200 OK\r\nX-Big: ${'x'.repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`, 'upstream_failed');
    expect(refused).toContain('too large');
    expect(headLines(refused)[0]).toBe('HTTP/1.1 502 Bad Gateway');
  });

  it('keeps one connection to the upstream for one request after the other', async () => {
    rig = await Rig.says('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.');
    const client = await rig.client();
    for (let count = 0; count < 5; count += 1) {
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await rig.end(count);
    }
    expect(rig.backSockets).toHaveLength(1);
  });

  it('answers pipelined requests in their order', async () => {
    const backs: Socket[] = [];
    rig = await Rig.raw((socket) => backs.push(socket));
    const client = await rig.client();
    client.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    while (backs.length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    const heard = backs.map(listen);
    await Promise.all(heard.map((one) => one.until('\r\n\r\n')));
    const second = heard[0]!.text().startsWith('GET /2') ? 0 : 1;
    backs[second]!.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
    backs[1 - second]!.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    const text = await client.until('two');
    expect(text.indexOf('one')).toBeGreaterThan(0);
    expect(text.indexOf('one')).toBeLessThan(text.indexOf('two'));
  });
});

describe('answers that break off', () => {
  it.each([
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'],
  ])('%s: cuts the client, and never ends the body', async (_name, answer) => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.once('data', () => socket.write(answer));
    });
    const client = await rig.client();
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until('abc');
    back!.destroy();
    const { text } = await client.untilEnd();
    expect(text).not.toContain('\r\n0\r\n');
    expect((await rig.end()).end).toMatchObject({ kind: 'broken', status: 200, error: { code: 'upstream_failed' } });
  });

  it('resets a client whose body would end with the connection', async () => {
    let back: Socket | undefined;
    rig = await Rig.raw((socket) => {
      back = socket;
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nabc'));
    });
    const client = await rig.client();
    await client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n').until('abc');
    back!.resetAndDestroy();
    expect((await client.untilEnd()).ending).toBe('reset');
    expect((await rig.end()).end.kind).toBe('broken');
  });

  it('cuts a client when what follows is no chunk', async () => {
    rig = await Rig.says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n');
    const client = await rig.client();
    const { text } = await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').untilEnd();
    expect(text).not.toContain('\r\n0\r\n');
    expect((await rig.end()).end.kind).toBe('broken');
  });

  it.each([
    ['closes', ''],
    ['is in the middle of its head', 'HTTP/1.1 200 OK\r\nX-Half'],
    ['speaks something else', '220 mail.example.com ESMTP\r\n'],
    ['sends a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['contradicts itself about the length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
    ['has control characters in its reason', 'HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok'],
  ])('answers 502 when the upstream %s before the head is whole', async (_name, answer) => {
    rig = await Rig.raw((socket) => {
      socket.once('data', () => socket.end(Buffer.from(answer, 'latin1')));
    });
    const client = await rig.client();
    const text = await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi').until('"code":"upstream_failed"');
    expect(headLines(text)[0]).toBe('HTTP/1.1 502 Bad Gateway');
    expect((await rig.end()).end).toMatchObject({ kind: 'failed', replayable: false });
  });
});

describe('a client that does not read', () => {
  const SIZE = 64 * 1024 * 1024;
  const large = (idleMs: number, rest = Promise.resolve()): Promise<Rig> => Rig.http((_request, response) => {
    response.writeHead(200, { 'content-length': SIZE + 3 });
    response.write(Buffer.alloc(SIZE), () => void rest.then(() => response.end('end')));
  }, { bodyIdleTimeoutMs: idleMs });

  it('is cut after the idle time, and takes the container\'s connection with it', async () => {
    rig = await large(200);
    const client = await rig.client();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').socket.pause();
    expect((await rig.end()).end).toEqual({ kind: 'aborted', status: 200 });
    expect((await rig.end()).stats.bytesOut).toBeLessThan(SIZE);
    await until('the container\'s connection is closed', () => rig.backSockets.every((socket) => socket.destroyed));
  });

  it('for a while only, or from an app that is silent, is not cut', async () => {
    let goOn: () => void = () => undefined;
    rig = await large(300, new Promise((resolve) => (goOn = resolve)));
    const client = await rig.client();
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      // In small bites all the way, for longer than the idle time.
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 1);
    });
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until('all but the end has come', () => received >= SIZE, 25_000);
    await new Promise((resolve) => setTimeout(resolve, 700));
    goOn();
    expect((await rig.end()).end).toEqual({ kind: 'answered', status: 200 });
  });
});
