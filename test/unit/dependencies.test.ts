import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

/** Holds package-lock.json to what docs/decisions/0010-dependencies.md says of it. */
const project = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(join(project, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Manifest & Locked> };
const page = read('docs/decisions/0010-dependencies.md');
const locked = Object.entries(packages).filter(([path]) => path !== '');
const shipped = locked.filter(([, { dev }]) => dev !== true);

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

/** First columns of the rows of a table below a heading. */
function rowsBelow(heading: string): string[][] {
  const part = page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return [...part.matchAll(/^\| `([^`]+)` \| ([^|]*) \|/gm)].map(([, name, second]) => [name!, second!.trim()]);
}

describe('package-lock.json', () => {
  it('is that of package.json', () => {
    expect(packages['']).toMatchObject({ dependencies: manifest.dependencies, devDependencies: manifest.devDependencies });
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) expect(packages[`node_modules/${name}`]?.version, name).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('pins the bytes of every package', () => {
    expect(locked.length).toBeGreaterThan(100);
    expect(locked.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '')).map(([path]) => path)).toEqual([]);
  });

  it('lets nothing ship that runs a script at installation, but what the page names; and in the image not even that', () => {
    const scripts = shipped.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path.replace(/^.*node_modules\//, ''));
    expect(scripts.sort()).toEqual(rowsBelow('Scripts at installation').map(([name]) => name).sort());
    const installations = read('Dockerfile').match(/npm ci [^&\n]*/g) ?? [];
    expect(installations).toHaveLength(2);
    for (const installation of installations) expect(installation).toContain('--ignore-scripts');
  });
});

describe('docs/decisions/0010-dependencies.md', () => {
  it('names every direct dependency that ships in its version, so that somebody has looked what is known of it', () => {
    const ships = Object.keys(manifest.dependencies ?? {}).map((name) => [name, packages[`node_modules/${name}`]!.version]);
    expect(rowsBelow('What ships, and why')).toEqual(ships.sort());
  });

  it('is right that http-proxy never forwards a request (CVE-2026-29057)', () => {
    const sources = readdirSync(join(project, 'src/proxy')).map((name) => read(`src/proxy/${name}`)).join('\n');
    expect(sources).toMatch(/\.ws\(/);
    expect(sources).not.toMatch(/\.web\(|\['web'\]/);
  });
});

describe('make audit', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pipes-audit-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const finding = (severity: string): object => ({ name: 'left-pad', severity, range: '<1.0.0', via: [{ title: 'It pads', url: 'https://example.org' }] });

  it.each<[string, object, number, RegExp]>([
    ['nothing is found', { auditReportVersion: 2, vulnerabilities: {} }, 0, /0 of the packages/],
    ['something moderate is', { auditReportVersion: 2, vulnerabilities: { 'left-pad': finding('moderate') } }, 0, /moderate\tleft-pad <1\.0\.0\tIt pads https:\/\/example\.org\n.*, 0 of them/],
    ['something high is', { auditReportVersion: 2, vulnerabilities: { 'left-pad': finding('high') } }, 1, /1 of them high/],
    ['the registry has no advisories', { message: '405 Method Not Allowed', statusCode: 405 }, 2, /gives no advisories \(405 Method Not Allowed\)/],
  ])('tells when %s', (_when, report, code, output) => {
    writeFileSync(join(directory, 'npm'), `#!/bin/sh\ncat <<'END'\n${JSON.stringify(report)}\nEND\nexit 1\n`);
    chmodSync(join(directory, 'npm'), 0o755);
    expect(run({ PATH: `${directory}:${process.env['PATH'] ?? ''}` })).toMatchObject({ code, output: expect.stringMatching(output) as string });
  });

  function run(env: Record<string, string>): { code: number; output: string } {
    try {
      return { code: 0, output: execFileSync(join(project, 'scripts/audit.sh'), { env: { ...process.env, ...env }, encoding: 'utf8', stdio: 'pipe' }) };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
      return { code: status, output: stdout + stderr };
    }
  }
});
