import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** An address on loopback that stands for another one and lets only so many bytes a second come back from it. */
export interface SlowLink {
  /** `127.0.0.1:port`, for image names among others. */
  readonly host: string;
  /** Bytes a second, over all connections; Infinity for as fast as it goes. What is sent towards the far end is never held. */
  bytesPerS: number;
  close(): Promise<void>;
}

/** @param farHost `127.0.0.1:port` */
export async function openSlowLink(farHost: string, bytesPerS: number): Promise<SlowLink> {
  const port = Number(farHost.split(':')[1]);
  const pairs = new Set<Pair>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far);
    far.pause();
    far.once('end', () => near.end());
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      socket.once('close', () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const link: SlowLink = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytesPerS,
    close: () => {
      clearInterval(ticking);
      for (const { near } of pairs) near.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  const ticking = setInterval(() => {
    let leftBytes = link.bytesPerS * (TICK_MS / 1000);
    for (const pair of pairs) leftBytes -= passOn(pair, leftBytes);
  }, TICK_MS);
  return link;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

const TICK_MS = 20;

/** At most so many bytes of what has come; gives how many it were. */
function passOn({ near, far }: Pair, mostBytes: number): number {
  if (mostBytes < 1 || near.writableNeedDrain) return 0;
  const chunk = far.read(Math.min(Math.floor(mostBytes), far.readableLength)) as Buffer | null;
  if (chunk === null) {
    // Nothing is there: asking is what makes more come, and at the end of the stream what tells so.
    far.read(0);
    return 0;
  }
  near.write(chunk);
  return chunk.length;
}
