/**
 * The address that requests are forwarded to. Each start of an instance makes a new object even when the numbers are the
 * same, so whoever keeps sockets per upstream never uses one that belongs to an earlier life of the address.
 */
export interface Upstream {
  readonly host: string;
  readonly port: number;
}
