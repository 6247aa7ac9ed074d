import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ClientCounts {
  readonly idle: number;
  readonly webSockets: number;
  /** Connections that have ended, by whomever. */
  readonly closed: number;
  /** Connections that did not get what they came for. */
  readonly failed: number;
  /** Of the last `echo`. */
  readonly echoes: number;
}

/** Thousands of connections to one host, held by a process of its own. See many-clients.mjs. */
export interface ManyClients {
  readonly opened: ClientCounts;
  count(): Promise<ClientCounts>;
  say(order: 'echo' | 'leave'): void;
  close(): Promise<void>;
}

/** Resolves once all are open. `openFiles` is as many descriptors as it may use. */
export async function openManyClients(port: number, host: string, idle: number, webSockets: number, openFiles: number): Promise<ManyClients> {
  const script = fileURLToPath(new URL('./many-clients.mjs', import.meta.url));
  const child = spawn('prlimit', [`--nofile=${openFiles}`, process.execPath, script, String(port), host, String(idle), String(webSockets)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const nextCounts = async (): Promise<ClientCounts> => {
    const [line] = (await Promise.race([once(lines, 'line'), gone.then(([code]) => Promise.reject(new Error(`the clients ended with ${String(code)}`)))])) as [string];
    return JSON.parse(line) as ClientCounts;
  };
  return {
    opened: await nextCounts(),
    count: async () => {
      const counts = nextCounts();
      child.stdin.write('count\n');
      return await counts;
    },
    say: (order) => void child.stdin.write(`${order}\n`),
    async close() {
      child.stdin.end();
      await gone;
    },
  };
}
