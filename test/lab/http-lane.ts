import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { HOST, HOST_FIELD, type Arrival, type ClientAnswer, type HttpCase, type LaneOptions, type UpstreamAnswer } from './http-cases/http-case.ts';
import { AmbiguousHttp, readAnswer, readRequest, valuesOf, type StrictMessage } from './strict-http.ts';
import { until } from './until.ts';

/** One way from a port to an upstream. Requests for `HOST` go there. */
export interface Lane {
  readonly port: number;
  stop(): Promise<void>;
}

export type StartLane = (upstream: { readonly host: string; readonly port: number }, options: LaneOptions) => Promise<Lane>;

/** What a case showed, in a form that can be compared whole. */
export interface Outcome {
  readonly gets: readonly object[];
  readonly ends: string;
  readonly arrives: readonly object[];
  /** What the next client got, which has to be the answer to what it asked. */
  readonly nextClient: string;
}

/** Far more than any case takes; a case that waits so long has failed. */
const PATIENCE_MS = 8_000;

/** Sends a case's bytes in so many pieces at most. */
const MOST_PIECES = 100;

/**
 * Lets a case happen on a fresh lane. Every byte on both sides goes through the strict reader.
 * @param isInPieces the client's bytes are sent byte by byte, as far as the system lets them go so
 * @throws AmbiguousHttp, or an Error that shows what came when nothing more does
 */
export async function observe(each: HttpCase, startLane: StartLane, isInPieces = false): Promise<Outcome> {
  const upstream = await TestUpstream.start(each.answers ?? {});
  const lane = await startLane({ host: '127.0.0.1', port: upstream.port }, each.lane ?? {});
  const clients: Client[] = [];
  try {
    const client = await Client.connect(lane.port, each.gets);
    clients.push(client);
    await client.send(each.sends, isInPieces);
    if (each.then === 'half-close') client.socket.end();
    if (each.then === 'abort') {
      await until('the upstream has what was sent', () => upstream.hasBegun(each.arrives), PATIENCE_MS, 5);
      client.socket.destroy();
    }
    const ends = each.ends ?? 'kept';
    if (each.then !== 'abort') await client.answered(ends === 'closed' || ends === 'cut');
    await upstream.speakUnasked();
    if (ends === 'kept' && each.then === undefined) await client.asksOnceMore();
    const next = await Client.connect(lane.port, [{ status: 200 }]);
    clients.push(next);
    await next.send(`GET ${NEXT} HTTP/1.1\r\n${HOST_FIELD}\r\n\r\n`, false);
    await next.answered(false);
    await until('all has arrived, and nothing half', () => upstream.isSettled(each.arrives), PATIENCE_MS, 5).catch(() => undefined);
    return {
      gets: client.seen(),
      ends: client.ending(ends),
      arrives: upstream.seen(each),
      nextClient: next.answers[0]?.body ?? '',
    };
  } catch (thrown) {
    throw upstream.fault ?? thrown;
  } finally {
    for (const client of clients) client.socket.destroy();
    upstream.stop();
    await lane.stop();
  }
}

/** What a case says that its outcome is. */
export function expected(each: HttpCase): Outcome {
  return {
    gets: each.gets.map(({ status, code, body, fields, trailers, isWhole }) => ({
      status,
      ...(code === undefined ? {} : { code }),
      ...(body === undefined ? {} : { body }),
      ...(fields === undefined ? {} : { fields: lowerCased(fields) }),
      ...(trailers === undefined ? {} : { trailers }),
      isWhole: isWhole ?? true,
    })),
    ends: each.ends ?? 'kept',
    arrives: each.arrives.map((arrival) => ({
      line: arrival.line,
      fields: arrival.fields ?? [HOST_FIELD],
      added: { ...ADDED, ...lowerCased(arrival.added ?? {}) },
      body: arrival.body ?? '',
      trailers: arrival.trailers ?? [],
      isWhole: arrival.isWhole ?? true,
    })).sort(byLine),
    nextClient: `GET ${NEXT}`,
  };
}

const AGAIN = '/asked-once-more';
const NEXT = '/next-client';

/** What pipes adds to each request of a client on this machine that it does not trust. */
const ADDED: Readonly<Record<string, string | undefined>> = {
  connection: 'keep-alive',
  upgrade: undefined,
  te: undefined,
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-host': HOST,
  'x-forwarded-proto': 'http',
  forwarded: `for=127.0.0.1;host=${HOST};proto=http`,
  via: '1.1 pipes',
  'x-request-id': 'a new one',
};

/** An upstream that answers by target, and keeps all that came, byte by byte. */
class TestUpstream {
  readonly #server: Server;
  readonly #answers: Readonly<Record<string, UpstreamAnswer>>;
  readonly #hasEarly: boolean;
  readonly #connections: Connection[] = [];
  /** What the strict reader refused. */
  fault: unknown;

  private constructor(server: Server, answers: Readonly<Record<string, UpstreamAnswer>>) {
    this.#server = server;
    this.#answers = answers;
    this.#hasEarly = Object.values(answers).some((answer) => typeof answer === 'object' && answer.isEarly);
    server.on('connection', (socket: Socket) => this.#serve(socket));
  }

  static async start(answers: Readonly<Record<string, UpstreamAnswer>>): Promise<TestUpstream> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new TestUpstream(server, answers);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #serve(socket: Socket): void {
    const connection: Connection = { socket, bytes: '', answeredUpTo: 0, earlyAt: -1, isTunnel: false, isOver: false };
    this.#connections.push(connection);
    const over = (): void => {
      connection.isOver = true;
    };
    socket.on('error', over);
    socket.on('close', over);
    socket.on('end', () => {
      over();
      socket.end();
    });
    socket.on('data', (chunk: Buffer) => {
      connection.bytes += chunk.toString('latin1');
      this.#answer(connection);
    });
  }

  #answer(connection: Connection): void {
    while (!connection.isTunnel) {
      let message: StrictMessage | undefined;
      try {
        const early = this.#early(connection);
        if (early && connection.earlyAt !== connection.answeredUpTo) {
          connection.earlyAt = connection.answeredUpTo;
          say(connection, early);
        }
        message = readRequest(connection.bytes, connection.answeredUpTo);
      } catch (thrown) {
        this.fault ??= thrown;
        return;
      }
      if (message === undefined) return;
      const wasEarly = connection.earlyAt === connection.answeredUpTo;
      connection.answeredUpTo = message.end;
      if (wasEarly) continue;
      const [method, target] = message.startLine.split(' ');
      const line = `${method!} ${target!}`;
      const answer = this.#answers[target!] ?? `HTTP/1.1 200 OK\r\nContent-Length: ${line.length}\r\n\r\n${method === 'HEAD' ? '' : line}`;
      connection.isTunnel = /^HTTP\/1\.1 101/.test(typeof answer === 'string' ? answer : answer.bytes);
      say(connection, answer);
    }
  }

  /** The answer that goes out before the request is whole, once its head is. */
  #early({ bytes, answeredUpTo }: Connection): UpstreamAnswer | undefined {
    if (!this.#hasEarly || bytes.indexOf('\r\n\r\n', answeredUpTo) < 0) return undefined;
    const answer = this.#answers[bytes.slice(answeredUpTo).split(' ', 2)[1]!];
    return typeof answer === 'object' && answer.isEarly ? answer : undefined;
  }

  /** Whether of each message as much has arrived as is expected, whole or not. */
  hasBegun(arrivals: readonly Arrival[]): boolean {
    const begun = this.#messages(true);
    return arrivals.every(({ line, body = '' }) => begun.some((message) => message.startLine === `${line} HTTP/1.1` && message.body === body));
  }

  /** Sends what no request asked for on the connections that have such an answer, and waits until pipes hangs up there. */
  async speakUnasked(): Promise<void> {
    for (const [target, answer] of Object.entries(this.#answers)) {
      if (typeof answer === 'string' || answer.unasked === undefined) continue;
      const connection = this.#connections.find(({ bytes }) => bytes.includes(` ${target} HTTP/1.1\r\n`))!;
      connection.socket.write(answer.unasked, 'latin1');
      await until('pipes hangs up on an upstream that speaks unasked', () => connection.isOver, 2_500, 5);
    }
  }

  /** Whether as much has arrived as is expected, and no message is left half. */
  isSettled(arrivals: readonly Arrival[]): boolean {
    return this.#messages().length >= arrivals.length && this.#connections.every(({ bytes, answeredUpTo, isTunnel, isOver }) => isTunnel || isOver || answeredUpTo === bytes.length);
  }

  seen({ arrives, isBodyFaulty }: HttpCase): object[] {
    for (const { bytes, answeredUpTo, isTunnel, isOver } of this.#connections) {
      const rest = isTunnel ? '' : bytes.slice(answeredUpTo);
      if (rest !== '' && readRequest(rest, 0, isOver) === undefined) throw new AmbiguousHttp('the upstream has half a request', rest);
    }
    return this.#messages().filter(({ isWhole }) => isWhole || !isBodyFaulty).map(arrivalOf).sort(byLine).map((arrival) => comparable(arrival, arrives));
  }

  /** @param areAllOver taken as if no further byte would come on any connection */
  #messages(areAllOver = false): StrictMessage[] {
    return this.#connections.flatMap(({ bytes, isTunnel, isOver }) => {
      const messages: StrictMessage[] = [];
      for (let at = 0; at < bytes.length; ) {
        const message = readRequest(bytes, at, isOver || areAllOver);
        if (message === undefined) break;
        if (!isMarker(message)) messages.push(message);
        at = message.end;
        if (isTunnel && valuesOf(message.fields, 'upgrade').length > 0) {
          messages[messages.length - 1] = { ...message, body: bytes.slice(at) };
          break;
        }
      }
      return messages;
    });
  }

  stop(): void {
    for (const { socket } of this.#connections) socket.destroy();
    this.#server.close();
  }
}

interface Connection {
  readonly socket: Socket;
  bytes: string;
  answeredUpTo: number;
  /** Where the request begins that was answered before its end. */
  earlyAt: number;
  isTunnel: boolean;
  isOver: boolean;
}

function say({ socket }: Connection, answer: UpstreamAnswer): void {
  if (typeof answer === 'string') return void socket.write(answer, 'latin1');
  if (answer.then === 'close') return void socket.end(answer.bytes, 'latin1');
  socket.write(answer.bytes, 'latin1', () => {
    if (answer.then === 'reset') socket.resetAndDestroy();
  });
}

function isMarker({ startLine }: StrictMessage): boolean {
  return startLine === `GET ${AGAIN} HTTP/1.1` || startLine === `GET ${NEXT} HTTP/1.1`;
}

interface SeenArrival {
  readonly line: string;
  readonly fields: readonly string[];
  readonly added: Record<string, string | undefined>;
  readonly body: string;
  readonly trailers: readonly string[];
  readonly isWhole: boolean;
}

function arrivalOf({ startLine, fields, body, trailers, isWhole }: StrictMessage): SeenArrival {
  const added: Record<string, string | undefined> = {};
  for (const name of Object.keys(ADDED)) added[name] = joined(valuesOf(fields, name));
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(added['x-request-id'] ?? '')) added['x-request-id'] = 'a new one';
  const own = fields.filter(([name]) => !Object.hasOwn(ADDED, name.toLowerCase()));
  return { line: startLine.replace(/ HTTP\/1\.1$/, ''), fields: own.map(printField), added, body, trailers: trailers.map(printField), isWhole };
}

/** Without what no arrival of the case wants to know: the rest of a body that broke off somewhere. */
function comparable(seen: SeenArrival, arrivals: readonly Arrival[]): SeenArrival {
  const meant = arrivals.find(({ line }) => line === seen.line);
  return meant?.isWhole === false && meant.body === undefined ? { ...seen, body: '' } : seen;
}

function byLine(one: { readonly line: string }, other: { readonly line: string }): number {
  return one.line < other.line ? -1 : one.line > other.line ? 1 : 0;
}

function printField([name, value]: readonly [string, string]): string {
  return `${name}: ${value}`;
}

function joined(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : values.join(' | ');
}

function lowerCased<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name.toLowerCase(), value]));
}

/** A client that sends the bytes of a case and reads what comes back as strictly as can be. */
class Client {
  readonly socket: Socket;
  readonly #wanted: readonly ClientAnswer[];
  readonly answers: StrictMessage[] = [];
  #bytes = '';
  #end: 'end' | 'reset' | undefined;
  #afterCase = '';

  private constructor(socket: Socket, wanted: readonly ClientAnswer[]) {
    this.socket = socket;
    this.#wanted = wanted;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.toString('latin1');
    });
    socket.on('end', () => (this.#end ??= 'end'));
    socket.on('error', () => (this.#end ??= 'reset'));
  }

  static connect(port: number, wanted: readonly ClientAnswer[]): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Client(socket, wanted));
      });
    });
  }

  async send(text: string, isInPieces: boolean): Promise<void> {
    const bytes = Buffer.from(text, 'latin1');
    const pieceLength = isInPieces ? Math.max(1, Math.ceil(bytes.length / MOST_PIECES)) : bytes.length;
    for (let at = 0; at < bytes.length && !this.socket.destroyed; at += pieceLength) {
      this.socket.write(bytes.subarray(at, at + pieceLength));
      if (isInPieces) await new Promise(setImmediate);
    }
  }

  /** Waits for all answers of the case, and for the end of the connection where it is to end. */
  async answered(isToEnd: boolean): Promise<void> {
    await this.#until(isToEnd ? 'the end of the connection' : 'all answers', () => (isToEnd ? this.#end !== undefined : this.#read(this.#wanted.length) || this.#end !== undefined));
    this.#read(Infinity);
  }

  async asksOnceMore(): Promise<void> {
    const before = this.answers.length;
    await this.send(`GET ${AGAIN} HTTP/1.1\r\n${HOST_FIELD}\r\n\r\n`, false);
    await this.#until('the answer to what was asked once more', () => this.#read(before + 1) || this.#end !== undefined);
    this.#afterCase = this.answers.splice(before).map(({ body }) => body).join(' | ');
  }

  ending(wanted: string): string {
    if (wanted === 'kept' && this.#afterCase !== '') return this.#afterCase === `GET ${AGAIN}` ? 'kept' : `kept, but then: ${this.#afterCase}`;
    if (this.#end === undefined) return wanted === 'switched' || wanted === 'kept' ? wanted : 'open';
    return wanted === 'cut' ? 'cut' : this.#end === 'end' ? 'closed' : 'reset';
  }

  /** What came, as far as the case says what it wants. */
  seen(): object[] {
    return this.answers.map((answer, index) => {
      const wanted = this.#wanted[index];
      const fields = wanted?.fields && Object.fromEntries(Object.keys(wanted.fields).map((name) => [name.toLowerCase(), joined(valuesOf(answer.fields, name.toLowerCase()))]));
      return {
        status: Number(answer.startLine.split(' ')[1]),
        ...(wanted?.code === undefined ? {} : { code: codeOf(answer) }),
        ...(wanted === undefined || wanted.body !== undefined ? { body: answer.body } : {}),
        ...(fields === undefined ? {} : { fields }),
        ...(wanted?.trailers === undefined ? {} : { trailers: answer.trailers.map(printField) }),
        isWhole: answer.isWhole,
      };
    });
  }

  /** Reads on, up to so many answers; whether there are as many, and after a switch as much as is wanted. */
  #read(count: number): boolean {
    while (this.answers.length < count) {
      const at = this.answers.at(-1)?.end ?? 0;
      if (at >= this.#bytes.length || this.#hasSwitched) break;
      const wanted = this.#wanted[this.answers.length];
      const answer = readAnswer(this.#bytes, at, wanted?.isToHead === true, this.#end !== undefined);
      if (answer === undefined) break;
      this.answers.push(this.#end === 'reset' && answer.end === this.#bytes.length ? { ...answer, isWhole: false } : answer);
    }
    if (!this.#hasSwitched) return this.answers.length >= count;
    const tunnelled = this.#bytes.slice(this.answers.at(-1)!.end);
    this.answers.push({ ...this.answers.pop()!, body: tunnelled });
    return tunnelled.length >= (this.#wanted.at(-1)?.body?.length ?? 0);
  }

  get #hasSwitched(): boolean {
    return this.answers.at(-1)?.startLine.startsWith('HTTP/1.1 101 ') === true;
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    await until(what, isSo, PATIENCE_MS, 2).catch((error: unknown) => {
      throw new Error(`${String(error)}; received: ${JSON.stringify(this.#bytes.slice(-600))}`);
    });
  }
}

function codeOf(answer: StrictMessage): string | undefined {
  try {
    return (JSON.parse(answer.body) as { code?: string }).code;
  } catch {
    return undefined;
  }
}
