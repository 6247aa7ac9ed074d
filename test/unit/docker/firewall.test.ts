import { describe, expect, it } from 'vitest';
import { Firewall } from '../../../src/docker/firewall.ts';
import type { Iptables } from '../../../src/docker/iptables.ts';

/** A machine's filter table, as far as `iptables -S` and `iptables-restore --noflush` are used here. */
class Table {
  lines = ['-P INPUT ACCEPT', '-N DOCKER-USER', '-A FORWARD -j DOCKER-USER', '-A DOCKER-USER -j RETURN'];
  restores = 0;

  readonly iptables: Iptables = async (program, _args, input = '') => {
    if (program === 'iptables') return await Promise.resolve(this.lines.join('\n'));
    this.restores += 1;
    for (const line of input.split('\n')) this.#take(line);
    return '';
  };

  of(chain: string): string[] {
    return this.lines.filter((line) => line.startsWith(`-A ${chain} `)).map((line) => line.slice(chain.length + 4));
  }

  #take(line: string): void {
    const [word = '', chain = ''] = line.split(' ');
    if (word.startsWith(':')) this.lines = [...this.lines.filter((each) => !each.startsWith(`-A ${word.slice(1)} `) && each !== `-N ${word.slice(1)}`), `-N ${word.slice(1)}`];
    if (word === '-A') this.lines.push(line);
    if (word === '-I') this.lines.splice(this.lines.findIndex((each) => each.startsWith(`-A ${chain} `)), 0, line.replace('-I', '-A'));
    if (word === '-D') this.lines.splice(this.lines.indexOf(line.replace('-D', '-A')), 1);
    if (word === '-X') this.lines = this.lines.filter((each) => each !== `-N ${chain}`);
  }
}

function firewall(table: Table, id = 'abc'): Firewall {
  return new Firewall({ id, openPorts: [8080], iptables: table.iptables });
}

describe('Firewall', () => {
  it('lets answers, names, the internet and pipes pass, and nothing else that is near', async () => {
    const table = new Table();
    await firewall(table).keep('br-1');
    const passing = ['-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN', '-p udp --dport 53 -j RETURN', '-p tcp --dport 53 -j RETURN'];
    const networks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16', '168.63.129.16/32', '192.0.0.0/24'];
    expect(table.of('PIPES-OUT-abc')).toEqual([
      ...passing,
      ...networks.flatMap((network) => [`-d ${network} -p tcp -j REJECT --reject-with tcp-reset`, `-d ${network} -j REJECT --reject-with icmp-admin-prohibited`]),
    ]);
    expect(table.of('PIPES-IN-abc')).toEqual([...passing, '-p tcp --dport 8080 -j RETURN', '-p tcp -j REJECT --reject-with tcp-reset', '-j REJECT --reject-with icmp-admin-prohibited']);
    expect(table.of('DOCKER-USER')).toEqual(['-i br-1 ! -o br-1 -j PIPES-OUT-abc', '-j RETURN']);
    expect(table.of('INPUT')).toEqual(['-i br-1 -j PIPES-IN-abc']);
  });

  it('looks, and changes nothing, where the rules stand', async () => {
    const table = new Table();
    const kept = firewall(table);
    await kept.keep('br-1');
    await kept.keep('br-1');
    expect(table.restores).toBe(1);
  });

  it('puts back what somebody took away or changed, without a second jump', async () => {
    const table = new Table();
    const kept = firewall(table);
    await kept.keep('br-1');
    const whole = [...table.lines].sort();
    for (const lost of table.lines.filter((line) => line.includes('PIPES') && !line.startsWith('-N'))) {
      table.lines = table.lines.filter((line) => line !== lost);
      await kept.keep('br-1');
      expect([...table.lines].sort()).toEqual(whole);
    }
    await firewall(table).keep('br-1');
    expect([...table.lines].sort()).toEqual(whole);
  });

  it('keeps a rule that somebody put before its own where it is', async () => {
    const table = new Table();
    const kept = firewall(table);
    await kept.keep('br-1');
    table.lines.splice(table.lines.findIndex((line) => line.startsWith('-A DOCKER-USER')), 0, '-A DOCKER-USER -d 192.168.1.5/32 -j ACCEPT');
    table.lines = table.lines.filter((line) => !line.includes('tcp-reset'));
    await kept.keep('br-1');
    expect(table.of('DOCKER-USER')).toEqual(['-d 192.168.1.5/32 -j ACCEPT', '-i br-1 ! -o br-1 -j PIPES-OUT-abc', '-j RETURN']);
  });

  it('follows the bridge, and leaves the rules of another pipes alone', async () => {
    const table = new Table();
    const [mine, other] = [firewall(table), firewall(table, 'other')];
    await other.keep('br-1');
    await mine.keep('br-1');
    await mine.keep('br-2');
    expect(table.of('DOCKER-USER')).toEqual(['-i br-2 ! -o br-2 -j PIPES-OUT-abc', '-i br-1 ! -o br-1 -j PIPES-OUT-other', '-j RETURN']);
    expect(table.of('INPUT')).toEqual(['-i br-2 -j PIPES-IN-abc', '-i br-1 -j PIPES-IN-other']);
    await mine.drop();
    expect(table.lines.filter((line) => line.includes('-abc'))).toEqual([]);
    expect(table.of('INPUT')).toEqual(['-i br-1 -j PIPES-IN-other']);
    const before = table.restores;
    await mine.drop();
    expect(table.restores).toBe(before);
  });
});
