/**
 * Makes the image hello/web:latest on the engine, from examples/hello and this machine's own node with its libraries: no network is needed.
 * Where node is no Linux program (macOS), the engine builds examples/hello/Dockerfile instead and pulls its base.
 */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Docker from 'dockerode';

const NAME = 'hello/web:latest';
const example = fileURLToPath(new URL('../examples/hello/', import.meta.url));

const docker = new Docker();
const context = mkdtempSync(join(tmpdir(), 'pipes-sample-'));
try {
  if (process.platform === 'linux') fillFromThisMachine();
  else for (const file of ['Dockerfile', 'hello.mjs']) copyFileSync(join(example, file), join(context, file));
  await build();
} catch (error) {
  console.error(`the sample image could not be made: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(context, { recursive: true, force: true });
}

function fillFromThisMachine() {
  const add = (source, path) => {
    mkdirSync(dirname(join(context, 'root', path)), { recursive: true });
    copyFileSync(source, join(context, 'root', path));
  };
  add(process.execPath, '/usr/bin/node');
  for (const [, library] of librariesOf(process.execPath).matchAll(/(\/\S+)\s+\(0x/g)) add(library, library);
  add(join(example, 'hello.mjs'), '/hello.mjs');
  mkdirSync(join(context, 'root/tmp'), { mode: 0o1777 });
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY root /\nEXPOSE 8080\nCMD ["/usr/bin/node", "/hello.mjs"]\n');
}

/** ldd says so, and fails, when a program is linked statically; then there is nothing to copy. */
function librariesOf(program) {
  try {
    return execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

async function build() {
  const tar = spawn('tar', ['-C', context, '--owner=0', '--group=0', '--numeric-owner', '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const stream = await docker.buildImage(tar.stdout, { t: NAME });
  const events = await new Promise((resolve, reject) => docker.modem.followProgress(stream, (error, all) => (error ? reject(error) : resolve(all))));
  // A build that failed ends like one that did not; its error is one of the events.
  const failed = events.find((event) => event.error !== undefined);
  if (failed !== undefined) throw new Error(failed.error);
}
