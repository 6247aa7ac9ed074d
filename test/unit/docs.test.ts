import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { TargetConfig } from '../../src/targets/target-config.ts';
import { printFlatHost, printPlainHost } from '../../src/targets/host-name.ts';
import { escapePiece } from '../../src/targets/flat-label.ts';
import { parseReference } from '../../src/targets/reference.ts';
import { ERROR_TABLE } from '../../src/core/errors.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(join(project, path), 'utf8');
const pages = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'configs/README.md', ...markdownBelow('docs')];

describe('README.md', () => {
  it('stays under 150 lines', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThan(150);
  });

  it('leads to every page of docs/', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) for (const { path } of linksOf(page)) if (path.endsWith('.md')) reached.add(path);
    expect(markdownBelow('docs').filter((page) => !reached.has(page))).toEqual([]);
  });

  it('starts pipes with a docker run and a compose file that say the same', () => {
    const compose = read('docker-compose.yml');
    for (const part of ['/var/run/docker.sock:/var/run/docker.sock', '80:80', ':/configs', 'unless-stopped']) {
      expect(read('README.md'), part).toContain(part);
      expect(compose, part).toContain(part);
    }
  });
});

describe.each(pages)('%s', (page) => {
  it('has only links that lead somewhere', () => {
    const broken = linksOf(page).filter(({ path, anchor }) => !existsSync(join(project, path)) || (anchor !== undefined && !anchorsOf(path).has(anchor)));
    expect(broken).toEqual([]);
  });

  it('closes every code block', () => {
    expect((read(page).match(/^```/gm) ?? []).length % 2).toBe(0);
  });
});

describe('ARCHITECTURE.md', () => {
  it('has a row for every room, and no other', () => {
    const rooms = readdirSync(join(project, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    const rows = [...read('ARCHITECTURE.md').matchAll(/^\| `src\/([a-z]+)\/` \|/gm)].map(([, room]) => room);
    expect(rows.sort()).toEqual(rooms.sort());
  });
});

describe('docs/api.md', () => {
  it('has a row for every error code with its status, and no other', () => {
    const rows = [...read('docs/api.md').matchAll(/^\| (\d{3}) \| `([a-z_]+)` \|/gm)].map(([, status, code]) => `${code!} ${status!}`);
    expect(rows.sort()).toEqual(Object.entries(ERROR_TABLE).map(([code, { status }]) => `${code} ${status}`).sort());
  });

  it('has a row for every key of a configuration, and no other', () => {
    const table = read('docs/api.md').split('### Configuration')[1]!.split('\n## ')[0]!;
    const keys = [...table.matchAll(/^\| ((?:`[a-z]+`(?:, )?)+) \|/gm)].flatMap(([, names]) => names!.replaceAll('`', '').split(', '));
    expect(keys.sort()).toEqual(Object.keys(TargetConfig.shape).sort());
  });

  it('names every endpoint', () => {
    const source = readdirSync(join(project, 'src/api')).filter((name) => name.endsWith('.ts')).map((name) => read(`src/api/${name}`)).join('\n');
    const paths = [...source.matchAll(/router\.(?:get|put|post|delete)\('([^']+)'/g)].map(([, path]) => path!.replace(/:(\w+)/g, '<$1>'));
    expect(paths.length).toBeGreaterThan(10);
    expect([...new Set(paths)].filter((path) => !read('docs/api.md').includes(`| \`${path}\` |`))).toEqual([]);
  });
});

describe('docs/operations.md', () => {
  it('knows what to do about every error that a visitor can meet', () => {
    const advice = read('docs/operations.md').split('## Troubleshooting')[1]!;
    const own = new Set(['invalid_request', 'host_malformed', 'unauthorized', 'forbidden', 'not_found', 'method_not_allowed', 'request_timeout', 'body_too_large', 'headers_too_large', 'shutting_down']);
    expect(Object.keys(ERROR_TABLE).filter((code) => !own.has(code) && !advice.includes(`\`${code}\``))).toEqual([]);
  });

  it('knows every field of the log line of a request', () => {
    const line = /const line = \{([\s\S]*?)\n {4}\};/.exec(read('src/proxy/dispatcher.ts'))![1]!;
    const fields = [...line.matchAll(/^ {6}([a-zA-Z]+)[:,]/gm)].map(([, field]) => field!);
    expect(fields.length).toBeGreaterThan(10);
    const table = read('docs/operations.md').split('## The log')[1]!;
    expect(fields.filter((field) => !table.includes(`\`${field}\``))).toEqual([]);
  });
});

describe('docs/hosts.md', () => {
  it('gives examples of hosts that are true', () => {
    const rows = [...read('docs/hosts.md').matchAll(/^\| `([^`]+)` \| (?:`([^`:]+):8080`|–[^|]*) \| `([^`:]+):8080` \|$/gm)];
    expect(rows.length).toBeGreaterThan(3);
    for (const [, reference, plain, flat] of rows) {
      expect(printPlainHost(parseReference(reference!), 'localhost')).toBe(plain);
      expect(printFlatHost(parseReference(reference!), 'localhost')).toBe(flat);
    }
  });

  it('gives examples of escapes that are true', () => {
    const examples = [...read('docs/hosts.md').split('## The flat form')[1]!.matchAll(/`([^`]+)` → `([^`]+)`/g)];
    expect(examples.length).toBeGreaterThan(4);
    for (const [, name, piece] of examples) expect(escapePiece(name!)).toBe(piece);
  });
});

describe('what is committed', () => {
  it('names no path of one machine, and no host that packages came from', () => {
    const patterns = [/\/(?:home|Users)\/[a-z]/, /\/tmp\/pipes-dev/, /\/work\/(?:main|shared)/, /"resolved":/, /registry\.npmjs|\.pkg\.dev|artifactory|nexus\d?\./i];
    const self = relative(project, fileURLToPath(import.meta.url));
    const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: project, encoding: 'utf8' }).split('\n').filter((path) => path !== '' && path !== self && existsSync(join(project, path)));
    expect(files.length).toBeGreaterThan(100);
    const found = files.flatMap((path) => patterns.filter((pattern) => pattern.test(read(path))).map((pattern) => `${path}: ${pattern.source}`));
    expect(found).toEqual([]);
  });
});

interface Link {
  /** From the project's root. */
  readonly path: string;
  readonly anchor: string | undefined;
}

/** The links of a page that lead to files of the project; code is no text. */
function linksOf(page: string): Link[] {
  const text = read(page).replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path, anchor] = target.split('#');
      return { path: path === '' ? page : relative(project, join(project, dirname(page), path!)), anchor };
    });
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const headings = [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  return new Set(headings.map((heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')));
}

function markdownBelow(directory: string): string[] {
  return readdirSync(join(project, directory), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.md')).map((path) => join(directory, path));
}
