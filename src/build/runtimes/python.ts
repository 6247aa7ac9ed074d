import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { UnbuildableSource, type Step } from '../build-plan.ts';
import type { Runtime } from '../runtime.ts';
import type { SourceTree } from '../source-tree.ts';
import { firstLine } from './version-file.ts';

/** Python, by the files that name its packages, or one of the usual names of a program. */
export const pythonRuntime: Runtime = {
  name: 'python',
  title: 'Python',
  detect: (source) => MARKS.some((path) => source.has(path)),
  plan: async (source, web) => {
    const project = await readProject(source);
    const version = await findVersion(source, project);
    const packages = await findPackages(source, project);
    const start = web ?? findStart(source, packages.names);
    if (start === undefined) throw new UnbuildableSource('Nothing says how the app starts. Add a Procfile with "web: <command>" that listens on $PORT, or name the program main.py or app.py.');
    const steps: Step[] = [
      { run: 'useradd --create-home app && mkdir /app && chown app:app /app' },
      { env: { PYTHONUNBUFFERED: '1', PIP_NO_CACHE_DIR: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' } },
      { workdir: '/app' },
      ...packages.steps,
      { copy: ['.'], to: '.', owner: 'app:app' },
      ...packages.after,
      { user: 'app' },
    ];
    return { reasons: [version.reason, packages.reason, web === undefined ? `it starts with "${start}"` : 'Procfile says how it starts'], stages: [{ base: `python:${version.tag}-slim`, steps }], web: start };
  },
};

const MARKS = ['requirements.txt', 'pyproject.toml', 'Pipfile', 'setup.py', 'manage.py', 'main.py', 'app.py'];
const DEFAULT_VERSION = '3.13';

/** As far as it says how to build; what stands there in another form says nothing. */
const Project = z.object({
  project: z.object({ 'requires-python': z.string().optional().catch(undefined), dependencies: z.array(z.string()).optional().catch(undefined) }).optional().catch(undefined),
  tool: z.object({ poetry: z.object({ dependencies: z.record(z.string(), z.unknown()).optional().catch(undefined) }).optional().catch(undefined) }).optional().catch(undefined),
});

type Project = z.infer<typeof Project>;

async function readProject(source: SourceTree): Promise<Project | undefined> {
  const text = await source.read('pyproject.toml');
  if (text === undefined) return undefined;
  try {
    return Project.parse(parseToml(text));
  } catch (error) {
    throw new UnbuildableSource(`pyproject.toml is no TOML: ${(error as Error).message.split('\n')[0]!}.`);
  }
}

async function findVersion(source: SourceTree, project: Project | undefined): Promise<{ tag: string; reason: string }> {
  for (const file of ['.python-version', 'runtime.txt']) {
    const written = firstLine(await source.read(file))?.replace(/^python-?/, '');
    if (written === undefined) continue;
    if (!/^3(?:\.\d+){0,2}$/.test(written)) throw new UnbuildableSource(`${file} says "${written.slice(0, 40)}", which is no version of Python such as 3.12.`);
    return { tag: written, reason: `${file} asks for Python ${written}` };
  }
  const poetrys = project?.tool?.poetry?.dependencies?.['python'];
  const range = project?.project?.['requires-python'] ?? (typeof poetrys === 'string' ? poetrys : undefined);
  // A lower bound is what nearly all write; the newest that it was surely made for is the bound's own minor version or the default.
  const exact = /^(?:==|~=|~|\^)?\s*(3\.\d+)/.exec(range ?? '');
  if (exact && !/^(?:>|\^)/.test(range!)) return { tag: exact[1]!, reason: `pyproject.toml asks for Python ${range!}` };
  const least = /(?:>=|\^)\s*3\.(\d+)/.exec(range ?? '')?.[1];
  const most = /<\s*3\.(\d+)/.exec(range ?? '')?.[1];
  const minor = Math.max(Number(least ?? 0), Math.min(Number(DEFAULT_VERSION.slice(2)), most === undefined ? Infinity : Number(most) - 1));
  return { tag: `3.${minor}`, reason: range === undefined ? `nothing asks for a version: Python ${DEFAULT_VERSION}` : `pyproject.toml asks for Python ${range}: 3.${minor}` };
}

interface Packages {
  readonly reason: string;
  readonly steps: readonly Step[];
  /** What needs the source beside it. */
  readonly after: readonly Step[];
  /** Names of packages, lower case, as far as the files say. */
  readonly names: ReadonlySet<string>;
}

async function findPackages(source: SourceTree, project: Project | undefined): Promise<Packages> {
  const requirements = await source.read('requirements.txt');
  if (requirements !== undefined) {
    return { reason: 'requirements.txt: packages come with pip', steps: [{ copy: ['requirements.txt'], to: './' }, { run: 'pip install -r requirements.txt' }], after: [], names: packageNames(requirements.split('\n')) };
  }
  const declared = packageNames([...(project?.project?.dependencies ?? []), ...Object.keys(project?.tool?.poetry?.dependencies ?? {})]);
  if (source.has('uv.lock')) {
    const steps: Step[] = [{ run: 'pip install uv' }, { env: { UV_PROJECT_ENVIRONMENT: '/usr/local' } }, { copy: ['pyproject.toml', 'uv.lock'], to: './' }, { run: 'uv sync --frozen --no-dev --no-install-project' }];
    return { reason: 'uv.lock: packages come with uv', steps, after: [], names: declared };
  }
  if (project?.tool?.poetry !== undefined || source.has('poetry.lock')) {
    const files = ['pyproject.toml', ...(source.has('poetry.lock') ? ['poetry.lock'] : [])];
    return { reason: 'pyproject.toml: packages come with Poetry', steps: [{ run: 'pip install poetry && poetry config virtualenvs.create false --local' }, { copy: files, to: './' }, { run: 'poetry install --only main --no-root --no-interaction' }], after: [], names: declared };
  }
  if (source.has('Pipfile')) {
    const pipfile = (await source.read('Pipfile')) ?? '';
    const isLocked = source.has('Pipfile.lock');
    return { reason: 'Pipfile: packages come with Pipenv', steps: [{ run: 'pip install pipenv' }, { copy: ['Pipfile', ...(isLocked ? ['Pipfile.lock'] : [])], to: './' }, { run: `pipenv install --system ${isLocked ? '--deploy' : '--skip-lock'}` }], after: [], names: packageNames(pipfile.split('\n')) };
  }
  if (project !== undefined || source.has('setup.py')) return { reason: `${project === undefined ? 'setup.py' : 'pyproject.toml'}: the project is installed with pip`, steps: [], after: [{ run: 'pip install .' }], names: declared };
  return { reason: 'no file names packages: none are installed', steps: [], after: [], names: new Set() };
}

/** What stands before a version, an extra or a comment (PEP 508); names know no case, and `_` is `-` (PEP 503). */
function packageNames(lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.map((line) => /^\s*"?([A-Za-z0-9][A-Za-z0-9._-]*)/.exec(line)?.[1]?.toLowerCase().replaceAll(/[._]/g, '-')).filter((name) => name !== undefined));
}

function findStart(source: SourceTree, packages: ReadonlySet<string>): string | undefined {
  const server = packages.has('gunicorn') ? (app: string) => `gunicorn --bind 0.0.0.0:$PORT ${app}` : undefined;
  if (source.has('manage.py')) {
    const wsgi = source.paths.find((path) => /^[^/]+\/wsgi\.py$/.test(path))?.split('/')[0];
    return server && wsgi !== undefined ? server(`${wsgi}.wsgi`) : 'python manage.py runserver 0.0.0.0:$PORT';
  }
  const file = ['main.py', 'app.py', 'src/main.py', 'wsgi.py', 'server.py'].find((path) => source.has(path));
  if (file === undefined) return undefined;
  const module = file.replace(/\.py$/, '').replaceAll('/', '.');
  if (packages.has('fastapi') || packages.has('starlette')) return packages.has('uvicorn') || packages.has('fastapi') ? `uvicorn ${module}:app --host 0.0.0.0 --port $PORT` : undefined;
  if (packages.has('flask')) return server ? server(`${module}:app`) : `flask --app ${module} run --host 0.0.0.0 --port $PORT`;
  return `python ${file}`;
}
