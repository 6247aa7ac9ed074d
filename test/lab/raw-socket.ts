import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';

/** A TCP connection to 127.0.0.1, for requests that no HTTP client would send and answers that none would tell apart. */
export interface RawSocket {
  readonly socket: Socket;
  write(bytes: string | Buffer): void;
  /** Everything received so far. */
  received(): string;
  /** Waits until that contains the text or matches; gives all of it. Throws when the connection ends before. */
  until(what: string | RegExp, timeoutMs?: number): Promise<string>;
  /** How the other side ended it: `end` for an orderly end, `error` for a reset. Throws when it does not within the time. */
  ended(timeoutMs?: number): Promise<'end' | 'error'>;
  destroy(): void;
}

export async function openRawSocket(port: number): Promise<RawSocket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  let end: 'end' | 'error' | undefined;
  let changed: () => void = () => undefined;
  const tell = () => {
    changed();
  };
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    tell();
  });
  socket.on('end', () => {
    end ??= 'end';
    tell();
  });
  socket.on('error', () => {
    end ??= 'error';
    tell();
  });
  const received = () => Buffer.concat(chunks).toString('latin1');
  const waitFor = async <T>(question: () => T | undefined, what: string, timeoutMs: number): Promise<T> => {
    const deadline = Date.now() + timeoutMs;
    for (let answer = question(); ; answer = question()) {
      if (answer !== undefined) return answer;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error(`waited ${timeoutMs} ms in vain: ${what}; received: ${JSON.stringify(received().slice(-500))}`);
      const timer = new AbortController();
      await Promise.race([new Promise<void>((resolve) => (changed = resolve)), wait(leftMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    }
  };
  return {
    socket,
    received,
    write: (bytes) => void socket.write(bytes),
    until: async (what, timeoutMs = 10_000) =>
      await waitFor(() => {
        const text = received();
        if (typeof what === 'string' ? text.includes(what) : what.test(text)) return text;
        if (end !== undefined) throw new Error(`the connection ended (${end}) before ${String(what)}; received: ${JSON.stringify(text.slice(-500))}`);
        return undefined;
      }, String(what), timeoutMs),
    ended: async (timeoutMs = 10_000) => await waitFor(() => end, 'the end of the connection', timeoutMs),
    destroy: () => socket.destroy(),
  };
}
