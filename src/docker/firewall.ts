import type { Iptables } from './iptables.ts';

export interface FirewallOptions {
  /** Tells the rules of this pipes from those of others on the machine; letters and digits, at most 16. */
  readonly id: string;
  /** TCP ports of this machine that containers may reach: pipes' own. */
  readonly openPorts: readonly number[];
  readonly iptables: Iptables;
}

/**
 * What containers behind one bridge may reach through this machine: the internet and name servers, but no private network, no
 * link-local address (cloud metadata) and not the machine itself. Answers to whoever calls them always pass.
 *
 * Two chains of its own, one jumped to from `DOCKER-USER` (which the engine keeps for its users and asks first), one from `INPUT`. Only
 * these chains and jumps are ever changed.
 */
export class Firewall {
  readonly #out: string;
  readonly #in: string;
  readonly #openPorts: readonly number[];
  readonly #iptables: Iptables;
  /** How the rules read right after they were put there, and for which bridge: each version of iptables prints them a little differently. */
  #stood: { readonly bridge: string; readonly lines: string } | undefined;

  constructor({ id, openPorts, iptables }: FirewallOptions) {
    this.#out = `PIPES-OUT-${id}`;
    this.#in = `PIPES-IN-${id}`;
    this.#openPorts = openPorts;
    this.#iptables = iptables;
  }

  /**
   * Puts the rules for this bridge, all at once or not at all; one look when they stand already.
   * @throws Error with the words of iptables
   */
  async keep(bridge: string): Promise<void> {
    const standing = await this.#standing();
    if (this.#stood?.bridge === bridge && this.#stood.lines === standing.join('\n')) return;
    const jumps = [`-A ${FORWARDED} -i ${bridge} ! -o ${bridge} -j ${this.#out}`, `-A ${TO_MACHINE} -i ${bridge} -j ${this.#in}`];
    await this.#restore([
      // Naming a chain makes it, or empties it.
      `:${this.#out} - [0:0]`,
      `:${this.#in} - [0:0]`,
      ...this.#rules(),
      ...jumpsIn(standing).filter((line) => !jumps.includes(line)).map(deletion),
      // One that stands keeps its place: whoever put a rule of theirs before it did so on purpose.
      ...jumps.filter((line) => !standing.includes(line)).map((line) => line.replace('-A', '-I')),
    ]);
    this.#stood = { bridge, lines: (await this.#standing()).join('\n') };
  }

  /** Takes its rules back; does nothing where there are none. @throws Error with the words of iptables */
  async drop(): Promise<void> {
    this.#stood = undefined;
    const standing = await this.#standing();
    const chains = [this.#out, this.#in].filter((chain) => standing.includes(`-N ${chain}`));
    if (chains.length === 0) return;
    await this.#restore([...chains.map((chain) => `:${chain} - [0:0]`), ...jumpsIn(standing).map(deletion), ...chains.map((chain) => `-X ${chain}`)]);
  }

  #rules(): string[] {
    const each = [this.#out, this.#in].flatMap((chain) => [
      `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`,
      // The engine's own name server asks from within the container's network, often a server in the LAN or on this machine.
      `-A ${chain} -p udp --dport 53 -j RETURN`,
      `-A ${chain} -p tcp --dport 53 -j RETURN`,
    ]);
    return [
      ...each,
      ...NOT_THE_INTERNET.flatMap((network) => refusal(this.#out, ` -d ${network}`)),
      ...this.#openPorts.map((port) => `-A ${this.#in} -p tcp --dport ${port} -j RETURN`),
      ...refusal(this.#in),
    ];
  }

  async #restore(lines: readonly string[]): Promise<void> {
    await this.#iptables('iptables-restore', ['-w', LOCK_WAIT_S, '--noflush'], ['*filter', ...lines, 'COMMIT', ''].join('\n'));
  }

  /** Lines that name one of its chains, as `iptables -S` has them. */
  async #standing(): Promise<string[]> {
    const listing = await this.#iptables('iptables', ['-w', LOCK_WAIT_S, '-S']);
    return listing.split('\n').map((line) => line.trim()).filter((line) => line.split(' ').some((word) => word === this.#out || word === this.#in));
  }
}

/**
 * Private (RFC 1918), carrier-grade NAT and overlay networks (RFC 6598), link-local with the clouds' metadata (RFC 3927), and the two addresses at which clouds
 * tell a machine about itself that look public: Azure's 168.63.129.16, and Oracle's in 192.0.0.0/24 (RFC 6890).
 */
export const NOT_THE_INTERNET = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16', '168.63.129.16/32', '192.0.0.0/24'] as const;

const FORWARDED = 'DOCKER-USER';
const TO_MACHINE = 'INPUT';
const LOCK_WAIT_S = '5';

/** An app is told at once, instead of waiting for an answer that never comes: of TCP by a reset, since Linux may try on for a second after an ICMP message. */
function refusal(chain: string, match = ''): string[] {
  return [`-A ${chain}${match} -p tcp -j REJECT --reject-with tcp-reset`, `-A ${chain}${match} -j REJECT --reject-with icmp-admin-prohibited`];
}

function jumpsIn(lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith(`-A ${FORWARDED} `) || line.startsWith(`-A ${TO_MACHINE} `));
}

function deletion(line: string): string {
  return line.replace('-A', '-D');
}
