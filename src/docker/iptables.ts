import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Runs one of the programs of iptables to its end and gives what it printed.
 * @throws Error whose message is the program's own words, in one line
 */
export type Iptables = (program: 'iptables' | 'iptables-restore', args: readonly string[], input?: string) => Promise<string>;

/** That of this machine. Rules are the kernel's, so programs of pipes and of the engine must be of the same kind (nft or legacy): both take the first in the PATH. */
export const iptables: Iptables = async (program, args, input) => {
  // Who is not root often has a PATH without the programs of root, and is then told that they are missing, not that they may not.
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  const running = promisify(execFile)(program, args, { env, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: LARGEST_LISTING_BYTES });
  running.child.stdin?.on('error', () => undefined);
  running.child.stdin?.end(input ?? '');
  try {
    return (await running).stdout;
  } catch (thrown) {
    throw new Error(wordsOf(program, thrown), { cause: thrown });
  }
};

/** Longer than both programs are told to wait for others that are changing rules. */
const TIMEOUT_MS = 15_000;

/** Machines with many services or blocked addresses have megabytes of rules. */
const LARGEST_LISTING_BYTES = 256 * 1024 * 1024;

function wordsOf(program: string, thrown: unknown): string {
  const { code, stderr } = thrown as { code?: string | number; stderr?: string };
  if (code === 'ENOENT') return `there is no ${program} on this machine`;
  const [line = ''] = (stderr ?? '').trim().split('\n').filter((each) => !each.startsWith('#'));
  return line === '' ? String(thrown) : line;
}
