import { execFileSync } from 'node:child_process';

/**
 * Does something that starts an engine, and puts back the firewall rules it took from others: an engine that starts empties the chains that
 * all engines of a machine share, and with them the isolation and the published ports of the others.
 */
export async function keepingRulesOfOthers(start: () => Promise<void>): Promise<void> {
  const before = TABLES.map((table) => ({ table, rules: rulesOf(table) }));
  await start();
  for (const { table, rules } of before) {
    const left = new Set(rulesOf(table));
    // Each goes to the top of its chain, the last one first: so they keep their order, and stay before a chain's final RETURN.
    for (const rule of rules.filter((each) => !left.has(each)).reverse()) iptables(table, ['-I', ...rule.split(' ').slice(1)]);
  }
}

const TABLES = ['filter', 'nat'] as const;

function rulesOf(table: string): string[] {
  return iptables(table, ['-S']).split('\n').filter((line) => line.startsWith('-A '));
}

function iptables(table: string, args: readonly string[]): string {
  return execFileSync('iptables', ['-w', '-t', table, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
