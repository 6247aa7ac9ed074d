/**
 * Ends and removes what a lab directory owns: processes (`*.pid`, "pid starttime"), and of each engine (`engine.json`) the containers,
 * shims, mounts, bridges, firewall rules and cgroups; and machines' networks (`machine.json`). It works from files alone, so it does the same after a clean run, Ctrl-C or `kill -9`.
 *
 *   node sweep.mjs <dir>                      now
 *   node sweep.mjs --when-stdin-ends <dir>    once whoever holds the other end of standard input is gone
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const STOP_GRACE_MS = 6_000;
const dir = process.argv.at(-1);

if (process.argv.includes('--when-stdin-ends')) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
  process.stdin.resume();
  process.stdin.on('end', () => void sweep(dir));
  process.stdin.on('error', () => void sweep(dir));
} else {
  await sweep(dir);
}

async function sweep(root) {
  const files = existsSync(root) ? [...filesNamed(root, 3)] : [];
  await endProcesses(files.filter((file) => file.endsWith('.pid')));
  for (const file of files.filter((each) => each.endsWith('engine.json'))) await sweepEngine(JSON.parse(readFileSync(file, 'utf8')));
  for (const file of files.filter((each) => each.endsWith('machine.json'))) for (const name of JSON.parse(readFileSync(file, 'utf8'))) quietly('ip', ['netns', 'del', name]);
  rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Files of interest down to `depth`; an engine's own data is never walked. */
function* filesNamed(at, depth) {
  for (const entry of readdirSync(at, { withFileTypes: true })) {
    if (entry.isFile() && (entry.name.endsWith('.pid') || entry.name === 'engine.json' || entry.name === 'machine.json')) yield join(at, entry.name);
    if (entry.isDirectory() && depth > 0 && entry.name !== 'data' && entry.name !== 'exec') yield* filesNamed(join(at, entry.name), depth - 1);
  }
}

async function endProcesses(pidFiles) {
  const owned = pidFiles.map((file) => readFileSync(file, 'utf8').trim().split(' ')).filter(([pid, startTime]) => runs(pid, startTime));
  for (const [pid] of owned) {
    signal(pid, 'SIGTERM');
    signal(pid, 'SIGCONT');
  }
  const deadline = Date.now() + STOP_GRACE_MS;
  while (Date.now() < deadline && owned.some(([pid, startTime]) => runs(pid, startTime))) await wait(25);
  for (const [pid, startTime] of owned) if (runs(pid, startTime)) signal(pid, 'SIGKILL');
}

async function sweepEngine({ root, namespace, cgroup, bridge, subnet }) {
  for (let round = 0; round < 50; round += 1) {
    const pids = [...cgroupProcesses(cgroup), ...processesWith(`-namespace ${namespace} `), ...processesWith(`${root}/exec/`)];
    if (pids.length === 0) break;
    for (const pid of pids) signal(pid, 'SIGKILL');
    await wait(50);
  }
  for (const path of mountsBelow(root)) quietly('umount', ['-l', path]);
  const links = [...(bridge === undefined ? [] : [bridge]), ...userBridges(root)];
  dropRules(links, subnet);
  for (const link of links) quietly('ip', ['link', 'del', link]);
  for (const group of cgroupDirs(cgroup)) removeCgroup(group);
}

/** A pid alone may mean another process by now; with its start time it cannot. A zombie does not run. */
function runs(pid, startTime) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    return fields[0] !== 'Z' && fields[19] === startTime;
  } catch {
    return false;
  }
}

function signal(pid, name) {
  try {
    process.kill(Number(pid), name);
  } catch {
    // gone already
  }
}

function processesWith(text) {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(text) && !readFileSync(`/proc/${name}/stat`, 'utf8').includes(') Z ');
    } catch {
      return false;
    }
  });
}

/** Where the engine's cgroup is: in each controller's tree of version 1, in the one tree of version 2. */
function cgroupDirs(cgroup) {
  const top = '/sys/fs/cgroup';
  if (!existsSync(top)) return [];
  return [top, ...readdirSync(top).map((name) => join(top, name))].map((tree) => join(tree, cgroup)).filter((path) => existsSync(path));
}

function cgroupProcesses(cgroup) {
  const pids = new Set();
  const walk = (path) => {
    try {
      for (const pid of readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n')) if (pid !== '') pids.add(pid);
      for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) walk(join(path, entry.name));
    } catch {
      // removed while we looked
    }
  };
  for (const path of cgroupDirs(cgroup)) walk(path);
  return pids;
}

function removeCgroup(path) {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeCgroup(join(path, entry.name));
    rmdirSync(path);
  } catch {
    // an empty cgroup that stays does no harm
  }
}

function mountsBelow(root) {
  const paths = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').map((line) => line.split(' ')[4] ?? '');
  return paths.filter((path) => path.startsWith(`${root}/`)).reverse();
}

/** Bridges of user-defined networks outlive their engine; it names them in its own network store, which is read here as text. */
function userBridges(root) {
  const store = join(root, 'data/network/files/local-kv.db');
  if (!existsSync(store)) return [];
  return [...readFileSync(store, 'latin1').matchAll(/"BridgeName":"(br-[0-9a-f]{12})"/g)].map((match) => match[1]);
}

/** Rules that an engine made for its networks name their bridge or, on the way out, their subnet; the chains are everybody's. */
function dropRules(links, subnet) {
  for (const table of ['filter', 'nat']) {
    for (const line of quietly('iptables', ['-w', '-t', table, '-S']).split('\n')) {
      const words = line.split(' ');
      if (words[0] === '-A' && words.some((word) => word === subnet || links.includes(word))) quietly('iptables', ['-w', '-t', table, '-D', ...words.slice(1)]);
    }
  }
}

function quietly(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 });
  } catch {
    return '';
  }
}
