import { createServer } from 'node:net';

/** How requests get into a container: to its own address, or to a port of this machine's loopback that the engine publishes. */
export type Reach = 'network' | 'publish';

/**
 * Whether the address is one of this machine's own. Asked by binding to it, since the list of interfaces leaves out a
 * bridge that no container uses at the moment.
 */
export async function isOwnAddress(address: string): Promise<boolean> {
  if (address === '') return false;
  const server = createServer();
  try {
    return await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ host: address, port: 0, exclusive: true }, () => resolve(true));
    });
  } finally {
    server.close(() => undefined);
  }
}

/**
 * `UPSTREAM=auto`: a container's own address can be dialled when its network's gateway is an address of this machine. With the
 * engine in a virtual machine, or elsewhere, it is not.
 */
export async function chooseReach(setting: Reach | 'auto', gateway: string | undefined): Promise<Reach> {
  if (setting !== 'auto') return setting;
  return gateway !== undefined && (await isOwnAddress(gateway)) ? 'network' : 'publish';
}
