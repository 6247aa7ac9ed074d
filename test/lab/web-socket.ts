import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';

export interface OpenWebSocket {
  readonly socket: WebSocket;
  send(message: string | Buffer): void;
  /** The next message that has not been taken yet. Throws when the connection closes first. */
  next(timeoutMs?: number): Promise<Buffer>;
  /** Closes it in order, and waits for the other side's word. Gives the close code. */
  close(): Promise<number>;
}

/** A WebSocket to 127.0.0.1 with that Host header. Throws with the status when the upgrade is refused. */
export async function openWebSocket(port: number, host: string, path = '/', headers: Readonly<Record<string, string>> = {}): Promise<OpenWebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { host, ...headers }, handshakeTimeout: 60_000 });
  const messages: Buffer[] = [];
  socket.on('message', (data: RawData) => {
    messages.push(Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data));
    socket.emit('lab-message');
  });
  await once(socket, 'open');
  socket.on('error', () => undefined);
  return {
    socket,
    send: (message) => socket.send(message),
    async next(timeoutMs = 10_000) {
      const signal = AbortSignal.timeout(timeoutMs);
      while (messages.length === 0) {
        if (socket.readyState !== WebSocket.OPEN) throw new Error('the WebSocket closed before the next message');
        await Promise.race([once(socket, 'lab-message', { signal }), once(socket, 'close', { signal })]);
      }
      return messages.shift()!;
    },
    async close() {
      const closed = once(socket, 'close') as Promise<[number]>;
      socket.close(1000);
      return (await closed)[0];
    },
  };
}
