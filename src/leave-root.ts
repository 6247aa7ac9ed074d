import { chownSync, closeSync, constants, lchownSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What a process needs that began as root and is to go on as somebody else. */
export interface NeededRights {
  /** Written to, and handed over with what is in it. */
  readonly configDir: string;
  /** The engine's socket; undefined where the engine is reached otherwise. */
  readonly socket: string | undefined;
  /** Files that are read later on; they need not exist. */
  readonly files: readonly string[];
  /** Where it is going to listen. */
  readonly port: number;
}

/** Who it is now, or why it is still root. */
export type LeftRoot = { readonly uid: number; readonly gid: number; readonly groups: readonly number[] } | { readonly obstacle: string };

/** The user `pipes` of the image; a number that no system gives to its users. */
const PIPES_ID = 65532;

/**
 * Goes on as the owner of `configDir`, or as the image's user `pipes` where that is root; in the group of the engine's socket besides its own.
 * From then on nothing of root is left, for no thread. What root made in `configDir` is handed over first. Where that user could not do what is
 * needed nothing changes, and the obstacle is told: pipes then serves as root, as it always could.
 *
 * Undefined when the process is not root: then it was started as whom it is to be.
 */
export function leaveRoot(needed: NeededRights): LeftRoot | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const obstacle = portObstacle(needed.port) ?? socketObstacle(needed.socket);
  if (obstacle !== undefined) return { obstacle };
  let user: { uid: number; gid: number };
  try {
    user = handOver(needed.configDir);
  } catch (error) {
    return { obstacle: `CONFIG_DIR ${needed.configDir} cannot be handed over (${codeOf(error)})` };
  }
  const groups = [...new Set([user.gid, ...(process.getgroups?.() ?? []).filter((gid) => gid !== 0), ...(needed.socket === undefined ? [] : [statSync(needed.socket).gid])])];
  return become(user, groups, needed);
}

/** Tries it with the rights that take effect only, which can be taken back; then for good. */
function become({ uid, gid }: { uid: number; gid: number }, groups: number[], needed: NeededRights): LeftRoot {
  const groupsBefore = process.getgroups!();
  try {
    process.setgroups!(groups);
    process.setegid!(gid);
    process.seteuid!(uid);
  } catch (error) {
    process.seteuid!(0);
    process.setegid!(0);
    return { obstacle: `another user cannot be taken on (${codeOf(error)})` };
  }
  const obstacle = fileObstacle(needed);
  process.seteuid!(0);
  if (obstacle !== undefined) {
    process.setegid!(0);
    process.setgroups!(groupsBefore);
    return { obstacle };
  }
  process.setgid!(gid);
  process.setuid!(uid);
  return { uid, gid, groups };
}

/** Only what belongs to root: in a folder that is a user's own, everything else stays as it is. */
function handOver(directory: string): { uid: number; gid: number } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const owner = statSync(directory);
  const user = { uid: owner.uid || PIPES_ID, gid: owner.gid || PIPES_ID };
  if (owner.uid === 0) chownSync(directory, user.uid, user.gid);
  handOverBelow(directory, user);
  return user;
}

/** What a link leads to, or another name of the same file, may be anything on the machine: whoever owns the folder could have put it there. */
function handOverBelow(directory: string, user: { uid: number; gid: number }): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    // One that a pipes which is just ending takes away is none to hand over.
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.uid === 0 && (found.isDirectory() || found.nlink === 1)) lchownSync(path, user.uid, user.gid);
    if (found?.isDirectory()) handOverBelow(path, user);
  }
}

/** In a container of Docker 20.03 and later every port is free to all; on a machine's own network those below 1024 are root's. */
function portObstacle(port: number): string | undefined {
  let firstFree = 1024;
  try {
    firstFree = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    // As it always was.
  }
  return port !== 0 && port < firstFree ? `port ${port} is for root alone here; set PORT to ${firstFree} or above` : undefined;
}

function socketObstacle(socket: string | undefined): string | undefined {
  if (socket === undefined) return undefined;
  const found = statSync(socket, { throwIfNoEntry: false });
  if (found === undefined) return `there is no ${socket} yet, whose group could be joined`;
  const GROUP_MAY_USE = 0o060;
  return (found.mode & GROUP_MAY_USE) === GROUP_MAY_USE ? undefined : `the group of ${socket} may not use it`;
}

function fileObstacle({ configDir, files }: NeededRights): string | undefined {
  const unreadable = [configDir, ...files].find((path) => !isReadable(path));
  return unreadable === undefined ? undefined : `${unreadable} can be read by root alone`;
}

/** By opening it: `access(2)` asks for the real user, who is root still. What is not there is not in the way. */
function isReadable(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY));
    return true;
  } catch (error) {
    return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
