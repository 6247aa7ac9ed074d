import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const project = fileURLToPath(new URL('../../', import.meta.url));

/** What dependency-cruiser found in a tree with a `src` of its own, under the project's rules. */
interface Findings {
  readonly modules: readonly { readonly source: string }[];
  readonly violations: readonly { readonly from: string; readonly to: string; readonly rule: { readonly name: string } }[];
}

describe('the directions of imports', () => {
  it('are those of the table of rooms', async () => {
    const { violations } = await cruise(project);
    expect(violations.map(({ from, to, rule }) => `${from} → ${to}: ${rule.name}`)).toEqual([]);
  });

  it('are looked at in every source file', async () => {
    const { modules } = await cruise(project);
    const read = modules.map(({ source }) => source).filter((source) => source.startsWith('src/')).sort();
    expect(read).toEqual(sourceFiles().sort());
  });

  describe('are enforced', () => {
    let tree: string;
    let found: Findings;

    beforeAll(async () => {
      tree = mkdtempSync(join(tmpdir(), 'pipes-structure-'));
      symlinkSync(join(project, 'node_modules'), join(tree, 'node_modules'));
      writeFileSync(join(tree, 'tsconfig.json'), readFileSync(join(project, 'tsconfig.json')));
      plant({
        'src/main.ts': "import './config/settings.ts';",
        'src/pipes.ts': "import './docker/engine.ts'; import './store/file.ts'; import './config/settings.ts';",
        'src/core/good.ts': 'export const good = 1;',
        'src/config/settings.ts': "import '../core/good.ts';",
        'src/docker/engine.ts': "import 'dockerode'; import '../instances/port.ts';",
        'src/store/file.ts': "import 'lowdb';",
        'src/instances/port.ts': "import '../core/good.ts';",
        'src/api/contract/shape.ts': "import '../../core/good.ts';",
        'src/cli/client.ts': "import '../api/contract/shape.ts';",
        // From here on, each breaks one rule.
        'src/proxy/type-only.ts': "import type { X } from '../docker/engine.ts'; export type Y = X;",
        'src/core/upwards.ts': "import '../images/one.ts';",
        'src/images/one.ts': "import './two.ts';",
        'src/images/two.ts': "import './one.ts';",
        'src/proxy/wants-settings.ts': "import '../config/settings.ts';",
        'src/proxy/wants-root.ts': "import '../main.ts';",
        'src/instances/wants-vendor.ts': "import 'dockerode';",
        'src/proxy/wants-proxy.ts': "import 'http-proxy';",
        'src/proxy/wants-koa.ts': "import type Koa from 'koa'; export type K = Koa;",
        'src/cli/too-deep.ts': "import '../api/app.ts';",
        'src/api/app.ts': "import './nowhere.ts';",
        'src/attic/room.ts': "import '../core/good.ts';",
      });
      found = await cruise(tree);
    });
    afterAll(() => rmSync(tree, { recursive: true, force: true }));

    it.each([
      ['src/proxy/type-only.ts', 'proxy-imports'],
      ['src/proxy/type-only.ts', 'adapters-are-plugged-in-by-pipes'],
      ['src/core/upwards.ts', 'core-imports'],
      ['src/images/one.ts', 'no-cycles'],
      ['src/proxy/wants-settings.ts', 'settings-stay-at-the-root'],
      ['src/proxy/wants-root.ts', 'nobody-imports-the-root'],
      ['src/instances/wants-vendor.ts', 'dockerode-has-one-home'],
      ['src/proxy/wants-proxy.ts', 'http-proxy-has-one-home'],
      ['src/proxy/wants-koa.ts', 'koa-has-one-home'],
      ['src/cli/too-deep.ts', 'cli-imports'],
      ['src/api/app.ts', 'resolvable'],
      ['src/attic/room.ts', 'known-rooms'],
    ])('%s breaks %s', (from, rule) => {
      expect(found.violations.filter((violation) => violation.from === from).map((violation) => violation.rule.name)).toContain(rule);
    });

    it('and nothing is forbidden that the table allows', () => {
      const innocent = ['src/main.ts', 'src/pipes.ts', 'src/core/good.ts', 'src/config/settings.ts', 'src/docker/engine.ts', 'src/store/file.ts', 'src/cli/client.ts'];
      expect(found.violations.filter(({ from }) => innocent.includes(from))).toEqual([]);
    });

    function plant(files: Readonly<Record<string, string>>): void {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), `${text}\n`);
      }
    }
  });
});

describe('the names of files', () => {
  it('say what is inside', () => {
    const empty = /^(utils?|helpers?|common|types|index|misc|shared|.*-?manager)$/i;
    expect(sourceFiles().filter((path) => empty.test(basename(path).replace(/\.[^.]*$/, '')))).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  it('names every room', (context) => {
    const page = join(project, 'ARCHITECTURE.md');
    if (!existsSync(page)) context.skip('there is no ARCHITECTURE.md yet');
    const text = readFileSync(page, 'utf8');
    const rooms = readdirSync(join(project, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory() && readdirSync(join(project, 'src', entry.name)).length > 0);
    expect(rooms.map((room) => room.name).filter((room) => !text.includes(`src/${room}`))).toEqual([]);
  });
});

/** Paths of all sources, such as `src/core/log.ts`. */
function sourceFiles(): string[] {
  const entries = readdirSync(join(project, 'src'), { recursive: true, encoding: 'utf8' });
  return entries.filter((path) => path.endsWith('.ts')).map((path) => `src/${path}`);
}

async function cruise(tree: string): Promise<Findings> {
  const program = join(project, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, 'src', '--config', join(project, '.dependency-cruiser.cjs'), '--output-type', 'json'];
  // It exits with the number of violations; what it printed counts.
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: tree, maxBuffer: 64 * 1024 * 1024 }).catch((error: unknown) => error as { stdout: string });
  const result = JSON.parse(stdout) as { modules: Findings['modules']; summary: { violations: Findings['violations'] } };
  return { modules: result.modules, violations: result.summary.violations };
}
