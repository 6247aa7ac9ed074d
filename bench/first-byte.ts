import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Visit {
  readonly address: string;
  readonly port: number;
  /** The Host header. */
  readonly host: string;
}

/**
 * Sends one GET and resolves at the first byte of its answer, which must be a 200. Where nothing listens yet it tries again
 * each millisecond: whoever waits for a container that starts has to.
 */
export async function firstByte(visit: Visit, deadlineMs = 30_000): Promise<void> {
  const giveUpAtMs = performance.now() + deadlineMs;
  for (;;) {
    const answer = await firstBytes(visit).catch((error: unknown) => {
      if (performance.now() < giveUpAtMs && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return undefined;
      throw error;
    });
    if (answer !== undefined && !/^HTTP\/1\.[01] 200 /.test(answer)) throw new Error(`${visit.host} answered ${answer}`);
    if (answer !== undefined) return;
    await delay(1);
  }
}

function firstBytes({ address, port, host }: Visit): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${host} closed the connection without an answer`)));
    socket.on('connect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
    socket.on('data', (bytes) => {
      resolve(bytes.toString('latin1').slice(0, 300));
      socket.destroy();
    });
  });
}
