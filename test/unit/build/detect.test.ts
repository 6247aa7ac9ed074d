import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { UnbuildableSource, type BuildPlan } from '../../../src/build/build-plan.ts';
import { planSource, RUNTIMES } from '../../../src/build/detect.ts';
import { DirectoryTree } from '../../../src/build/directory-tree.ts';
import { printDockerfile } from '../../../src/build/dockerfile.ts';

const samples = fileURLToPath(new URL('../../samples/', import.meta.url));
const names = readdirSync(samples, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const top = mkdtempSync(join(tmpdir(), 'pipes-sources-'));
afterAll(() => rmSync(top, { recursive: true }));

/** A source with these files, each with its text. */
async function planOf(files: Record<string, string>): Promise<BuildPlan> {
  const directory = mkdtempSync(join(top, 'source-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return await planSource(await DirectoryTree.open(directory));
}

const manifest = (more: object): string => JSON.stringify({ name: 'a', scripts: { start: 'node .' }, ...more });
const baseOf = async (files: Record<string, string>): Promise<string> => (await planOf(files)).stages[0]!.base;

describe('a sample of what people push', () => {
  it('is there for every runtime, and at least a dozen in all', async () => {
    const plans = await Promise.all(names.map(async (name) => planSource(await DirectoryTree.open(join(samples, name)))));
    expect(names.length).toBeGreaterThanOrEqual(12);
    expect([...new Set(plans.map(({ runtime }) => runtime))].sort()).toEqual(RUNTIMES.map(({ name }) => name).sort());
  });

  it.each(names)('%s is planned as its golden file says', async (name) => {
    const plan = await planSource(await DirectoryTree.open(join(samples, name)));
    const { reasons, processes, runtime } = plan;
    const text = [`runtime: ${runtime}`, ...reasons.map((reason) => `- ${reason}`), ...Object.entries(processes).map(([type, line]) => `${type}: ${line}`), '', printDockerfile(plan)].join('\n');
    await expect(text).toMatchFileSnapshot(join(samples, `${name}.golden`));
  });
});

describe('the version of Node.js', () => {
  it.each([
    [{ '.nvmrc': '20\n' }, 'node:20-slim'],
    [{ '.nvmrc': 'lts/*' }, 'node:lts-slim'],
    [{ '.node-version': '# pinned\nv24.1.0' }, 'node:24.1.0-slim'],
    [{ 'package.json': manifest({ engines: { node: '>=18' } }) }, 'node:24-slim'],
    [{ 'package.json': manifest({ engines: { node: '>=18 <23' } }) }, 'node:22-slim'],
    [{ 'package.json': manifest({ engines: { node: '20.x || 21.x' } }) }, 'node:20-slim'],
    [{ 'package.json': manifest({ engines: { node: '^16' } }) }, 'node:16-slim'],
    [{}, 'node:22-slim'],
  ])('%j is %s', async (files, base) => expect(await baseOf({ 'package.json': manifest({}), ...files })).toBe(base));
});

describe('the version of Python', () => {
  it.each([
    ['>=3.9', 'python:3.13-slim'],
    ['>=3.9,<3.12', 'python:3.11-slim'],
    ['==3.10.*', 'python:3.10-slim'],
    ['~=3.11', 'python:3.11-slim'],
    ['>=3.14', 'python:3.14-slim'],
  ])('%s is %s', async (range, base) => expect(await baseOf({ 'pyproject.toml': `[project]\nname = "a"\nrequires-python = "${range}"`, 'app.py': '' })).toBe(base));
});

describe('a manifest with values of other kinds', () => {
  it.each([
    [{ 'package.json': manifest({ engines: { node: 20 }, main: null, dependencies: ['a'] }) }, 'node:20-slim'],
    [{ 'package.json': manifest({ engines: 'new', packageManager: 1 }) }, 'node:22-slim'],
    [{ 'pyproject.toml': '[project]\nrequires-python = 3\n[project.dependencies]\na = 1', 'app.py': '' }, 'python:3.13-slim'],
  ])('%j is %s', async (files, base) => expect(await baseOf(files)).toBe(base));
});

describe('a source that cannot be built', () => {
  it.each([
    ['nothing that is known', { 'README.md': '' }, /Add a Dockerfile, or one of: go\.mod/],
    ['a broken package.json', { 'package.json': '{' }, /package\.json is no JSON object/],
    ['a package.json that is a list', { 'package.json': '[]' }, /package\.json is no JSON object/],
    ['no way to start', { 'package.json': '{}' }, /script "start", or a Procfile/],
    ['an odd .nvmrc', { 'package.json': manifest({}), '.nvmrc': '$(reboot)' }, /\.nvmrc says "\$\(reboot\)"/],
    ['an odd range', { 'package.json': manifest({ engines: { node: 'new' } }) }, /engines\.node/],
    ['an odd runtime.txt', { 'app.py': '', 'runtime.txt': 'python-2.7' }, /runtime\.txt says "2\.7"/],
    ['a broken pyproject.toml', { 'pyproject.toml': '[project' }, /pyproject\.toml is no TOML/],
    ['Python without a program', { 'requirements.txt': 'flask' }, /Procfile with "web: <command>"/],
    ['a Go module without a program', { 'go.mod': 'module a', 'lib/a.go': '' }, /no program/],
    ['several Go programs', { 'go.mod': 'module a', 'cmd/b/b.go': '', 'cmd/c/c.go': '' }, /several programs/],
    ['a pom.xml that is none', { 'pom.xml': 'hello' }, /holds no <project>/],
    ['a Procfile with a fault', { 'package.json': manifest({}), Procfile: '\nweb node .' }, /Procfile, line 2/],
  ])('with %s says what to do', async (_what, files, message) => {
    const failed = await planOf(files).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(UnbuildableSource);
    expect((failed as Error).message).toMatch(message);
  });
});
