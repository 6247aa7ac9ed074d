import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaveRoot } from '../../src/leave-root.ts';

/** What keeps it root. That it really leaves is tried in the image (test/e2e/image.test.ts), for there is no way back. */
const isRoot = process.getuid?.() === 0;
let directory: string;
let configDir: string;
let socket: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pipes-root-'));
  configDir = join(directory, 'configs');
  socket = join(directory, 'docker.sock');
  writeFileSync(socket, '');
  chmodSync(socket, 0o660);
});
afterEach(() => rmSync(directory, { recursive: true }));

const whoami = () => [process.getuid!(), process.geteuid!(), process.getgid!(), process.getegid!(), process.getgroups!()];

if (isRoot) describe('a process of root stays that', () => {
  it.each([
    ['where there is no socket yet', () => rmSync(socket), {}, /there is no .*docker\.sock yet/],
    ["where the socket's group may not use it", () => chmodSync(socket, 0o640), {}, /the group of .*docker\.sock may not use it/],
    ['where it could not read what it needs', () => chmodSync(directory, 0o711), { files: ['secret'] }, /secret can be read by root alone/],
  ] as const)('%s', (_name, prepare, { files = [] }: { readonly files?: readonly string[] }, reason) => {
    prepare();
    for (const name of files) writeFileSync(join(directory, name), '', { mode: 0o600 });
    const before = whoami();
    expect(leaveRoot({ configDir, socket, files: files.map((name) => join(directory, name)), port: 8080 })).toEqual({ obstacle: expect.stringMatching(reason) as string });
    expect(whoami()).toEqual(before);
  });

  it("and has handed over only what was root's", () => {
    mkdirSync(configDir);
    writeFileSync(join(configDir, 'pipes.json'), '{}', { mode: 0o600 });
    writeFileSync(join(configDir, 'notes'), '');
    chownSync(join(configDir, 'notes'), 4242, 4242);
    // The parent is closed to all others: so it cannot leave.
    expect(leaveRoot({ configDir, socket: undefined, files: [], port: 8080 })).toEqual({ obstacle: `${configDir} can be read by root alone` });
    expect(['.', 'pipes.json', 'notes'].map((name) => statSync(join(configDir, name)).uid)).toEqual([65532, 65532, 4242]);
  });
});
else describe('a process of anybody else', () => {
  it('goes on as it was started', () => {
    expect(leaveRoot({ configDir, socket, files: [], port: 80 })).toBeUndefined();
  });
});
