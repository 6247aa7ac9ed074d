import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planSource } from '../../src/build/detect.ts';
import { DirectoryTree } from '../../src/build/directory-tree.ts';
import { printDockerfile } from '../../src/build/dockerfile.ts';
import { Apps } from '../lab/apps.ts';
import { imageBases } from '../lab/debian-images.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { labDirectory, useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';

/**
 * Samples built from their plans on the real engine, run and asked by way of their host names. The bases are the names that the plans use; where the
 * engine cannot pull them, stand-ins with the same program, user and way to start are made from Debian's packages.
 */
const project = fileURLToPath(new URL('../../', import.meta.url));
const lab = useLab();
const apps = new Apps('sample');
const containers = new EngineContainers(lab.dockerHost);
const directory = labDirectory('samples');

/** What the official image of that name has, as far as a plan uses it. */
const STAND_INS: Record<string, readonly string[]> = {
  'node-plain': ['RUN useradd --create-home node'],
  'python-plain': ['RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 >/dev/null && ln -s python3 /usr/bin/python'],
  'static-plain': [
    'RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light >/dev/null && rm /etc/nginx/sites-enabled/* && mkdir -p /usr/share/nginx/html',
    "RUN sed -i 's#^pid .*#pid /tmp/nginx.pid;#; s#^user .*##' /etc/nginx/nginx.conf && chown -R www-data /etc/nginx /var/lib/nginx /var/log/nginx",
    'USER www-data',
    'CMD ["nginx", "-g", "daemon off;"]',
  ],
};

let pipes: PipesProcess;

beforeAll(async () => {
  pipes = await startPipes({ dockerHost: lab.dockerHost });
  const bases = await imageBases(docker, readFileSync(join(project, 'Dockerfile'), 'utf8'));
  for (const [sample, steps] of Object.entries(STAND_INS)) {
    const name = (await planOf(sample)).stages.at(-1)!.base;
    const isThere = await docker('image', 'inspect', name).catch(() => docker('pull', '--quiet', name)).then(() => true, () => false);
    if (!isThere) await build(name, { Dockerfile: [`FROM ${sample === 'node-plain' ? bases.build : bases.runtime}`, ...steps].join('\n') });
  }
}, 600_000);
afterAll(async () => {
  await pipes.stop();
  for (const sample of Object.keys(STAND_INS)) {
    const app = apps.app(sample);
    for (const id of await containers.of(app.reference)) await containers.remove(id);
    await docker('image', 'rm', '--force', app.image).catch(() => undefined);
  }
});

describe.each([
  ['node-plain', '/hello', 'node /hello\n'],
  ['python-plain', '/hello', 'python /hello\n'],
  ['static-plain', '/about/', '<!doctype html><title>about</title>\n'],
])('%s', (sample, path, answer) => {
  it('is built from its plan, runs without root, and answers', async () => {
    const app = apps.app(sample);
    const context = mkdtempSync(join(directory, 'context-'));
    cpSync(join(project, 'test/samples', sample), context, { recursive: true });
    mkdirSync(join(context, '.git'));
    writeFileSync(join(context, '.git/config'), 'secret');
    writeFileSync(join(context, 'Dockerfile'), printDockerfile(await planOf(sample)));
    await docker('build', '--quiet', '--tag', app.image, context);
    expect(await request(pipes.port, { host: app.host, path })).toMatchObject({ status: 200, text: answer });
    const [id] = await containers.of(app.reference);
    expect((await docker('exec', id!, 'id', '-u')).trim()).not.toBe('0');
    if (sample === 'static-plain') expect((await request(pipes.port, { host: app.host, path: '/.git/config' })).status).toBe(404);
  }, 300_000);
});

async function planOf(sample: string): ReturnType<typeof planSource> {
  return await planSource(await DirectoryTree.open(join(project, 'test/samples', sample)));
}

async function build(name: string, files: Record<string, string>): Promise<void> {
  const context = mkdtempSync(join(directory, 'base-'));
  for (const [path, text] of Object.entries(files)) writeFileSync(join(context, path), text);
  await docker('build', '--quiet', '--tag', name, context);
}

/** With the classic builder, which every engine has. */
async function docker(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', args, { env: { ...process.env, DOCKER_HOST: lab.dockerHost, DOCKER_BUILDKIT: '0' }, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}
