import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownProcess } from './owned-process.ts';
import { sweep } from './sweep.ts';

/**
 * A machine as far as its network goes: addresses, bridges and firewall rules of its own, in a network namespace. It is cabled to a world that
 * answers at `LAN`, `METADATA` and `INTERNET`, and to this machine, so that tests reach what listens on it.
 */
export interface Machine {
  /** What comes before a command that is to run on it. */
  readonly enter: readonly string[];
  /** Where this machine reaches it. */
  readonly address: string;
  /** The default bridge of an engine on it. */
  readonly bridge: { readonly bridge: string; readonly index: number };
  /** Runs a program on it to its end and gives what it printed. */
  run(command: string, ...args: readonly string[]): string;
  /** Serves over HTTP on all its addresses, until the machine goes. */
  serve(port: number, text: string): Promise<void>;
  /** Removes it, with everything that runs on it. */
  close(): Promise<void>;
}

/** In the private network that the machine is in. */
export const LAN = '192.168.77.1';
/** Where clouds tell a machine its secrets. */
export const METADATA = '169.254.169.254';
/** Stands for any public address (RFC 5737, TEST-NET-2). */
export const INTERNET = '198.51.100.7';
/** The machine's own addresses: in the LAN, and a public one (TEST-NET-3). */
export const OWN_LAN = '192.168.77.2';
export const OWN_PUBLIC = '203.0.113.9';

/** What the world says on port 80 of each of its addresses. */
export const WORLD_SAYS = 'the world';

/** Makes a machine and its world. The world's name server knows every name, as `INTERNET`. Needs root. */
export async function makeMachine(labDir: string): Promise<Machine> {
  const root = mkdtempSync(join(labDir, 'machine-'));
  const suffix = randomBytes(3).toString('hex');
  const [machine, world] = [`pipes-m-${suffix}`, `pipes-w-${suffix}`];
  writeFileSync(join(root, 'machine.json'), JSON.stringify([machine, world]));
  const cable = makeCable(suffix);
  const on = (name: string, ...words: readonly string[]) => ip('-n', name, ...words);
  for (const name of [machine, world]) ip('netns', 'add', name);

  ip('link', 'set', `pm-${suffix}`, 'netns', machine);
  ip('addr', 'add', `${cable}.1/30`, 'dev', `pt-${suffix}`);
  ip('link', 'set', `pt-${suffix}`, 'up');
  on(machine, 'addr', 'add', `${cable}.2/30`, 'dev', `pm-${suffix}`);
  on(machine, 'link', 'set', `pm-${suffix}`, 'up');

  ip('-n', machine, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', world);
  for (const [name, addresses] of [[machine, [`${OWN_LAN}/24`, `${OWN_PUBLIC}/32`]], [world, [`${LAN}/24`, `${METADATA}/32`, `${INTERNET}/32`]]] as const) {
    on(name, 'link', 'set', 'lo', 'up');
    for (const address of addresses) on(name, 'addr', 'add', address, 'dev', 'eth0');
    on(name, 'link', 'set', 'eth0', 'up');
  }
  on(machine, 'route', 'add', 'default', 'via', LAN);
  on(machine, 'link', 'add', BRIDGE, 'type', 'bridge');
  on(machine, 'addr', 'add', '10.214.0.1/24', 'dev', BRIDGE);
  on(machine, 'link', 'set', BRIDGE, 'up');

  const inside = (name: string) => ['nsenter', `--net=/run/netns/${name}`];
  let programs = 0;
  const start = async (name: string, script: string, ...args: readonly string[]) => {
    const id = `program-${(programs += 1)}`;
    const [command = '', ...words] = [...inside(name), process.execPath, '-e', script, ...args];
    await ownProcess({ command, args: words, cwd: root, pidFile: join(root, `${id}.pid`), logFile: join(root, `${id}.log`) });
  };
  await start(world, HTTP_SERVER, '80', WORLD_SAYS);
  await start(world, NAME_SERVER, INTERNET);
  return {
    enter: inside(machine),
    address: `${cable}.2`,
    bridge: { bridge: BRIDGE, index: 0 },
    run: (command, ...args) => execFileSync('nsenter', [`--net=/run/netns/${machine}`, command, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    serve: async (port, text) => await start(machine, HTTP_SERVER, String(port), text),
    close: async () => await sweep(root),
  };
}

const BRIDGE = 'pipes-lab-0';

const HTTP_SERVER = `require('node:http').createServer((_, answer) => answer.end(process.argv[2] + '\\n')).listen(Number(process.argv[1]), '0.0.0.0')`;

/** Answers every question with one address (RFC 1035, section 4.1): the question itself, and a record that points back to its name. */
const NAME_SERVER = `
const server = require('node:dgram').createSocket('udp4');
server.on('message', (question, from) => {
  const end = question.indexOf(0, 12) + 5;
  const isAddress = question.readUInt16BE(end - 4) === 1;
  const head = Buffer.from([question[0], question[1], 0x81, 0x80, 0, 1, 0, isAddress ? 1 : 0, 0, 0, 0, 0]);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...process.argv[1].split('.').map(Number)]);
  server.send(Buffer.concat([head, question.subarray(12, end), ...(isAddress ? [record] : [])]), from.port, from.address);
});
server.bind(53, '0.0.0.0');`;

/** The link between this machine and that one. Gives the first three parts of its addresses, which nobody here has yet. */
function makeCable(suffix: string): string {
  ip('link', 'add', `pt-${suffix}`, 'type', 'veth', 'peer', 'name', `pm-${suffix}`);
  const taken = ip('-o', '-4', 'addr');
  // Two runs that look at the same moment are to look at different places first.
  const first = randomBytes(1)[0]!;
  for (let index = first; index < first + 256; index += 1) if (!taken.includes(` 10.216.${index % 256}.`)) return `10.216.${index % 256}`;
  throw new Error('all addresses for machines of the lab are taken');
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
