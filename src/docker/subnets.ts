/** An IPv4 network: the first address as a number, and how many addresses it has. */
export interface Subnet {
  readonly first: number;
  readonly size: number;
}

/** `10.213.0.0/16`; undefined for all else, IPv6 too. Bits beyond the prefix are dropped. */
export function parseSubnet(text: string): Subnet | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const [, ...parts] = (match ?? []).map(Number);
  const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = parts;
  if (Math.max(a, b, c, d) > 255 || prefix > 32) return undefined;
  const size = 2 ** (32 - prefix);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return { first: address - (address % size), size };
}

export function printSubnet({ first, size }: Subnet): string {
  return `${printAddress(first)}/${32 - Math.log2(size)}`;
}

/** The address that Docker gives to the bridge when nothing else is said: the first one that a host may have. */
export function defaultGateway({ first }: Subnet): string {
  return printAddress(first + 1);
}

/** The parts of the pool, of that size, that overlap nothing that is taken; in order, so that every pipes on an engine tries the same first. */
export function* freeSubnets(pool: Subnet, prefix: number, taken: readonly Subnet[]): Generator<Subnet> {
  const size = 2 ** (32 - prefix);
  for (let first = pool.first; first + size <= pool.first + pool.size; first += size) {
    if (!taken.some((other) => other.first < first + size && first < other.first + other.size)) yield { first, size };
  }
}

function printAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
