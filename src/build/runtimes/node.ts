import semver from 'semver';
import { z } from 'zod';
import { UnbuildableSource, type Step } from '../build-plan.ts';
import type { Runtime, RuntimePlan } from '../runtime.ts';
import type { SourceTree } from '../source-tree.ts';
import { firstLine } from './version-file.ts';
import { pagesStage } from './static-site.ts';

/** Node.js, by `package.json`. Pages that a build makes and no server serves (Vite, and such) become a static site. */
export const nodeRuntime: Runtime = {
  name: 'node',
  title: 'Node.js',
  detect: (source) => source.has('package.json'),
  plan: async (source, web) => {
    const manifest = await readManifest(source);
    const version = await findVersion(source, manifest);
    const tool = findPackageTool(source, manifest);
    const hasBuild = manifest.scripts?.['build'] !== undefined;
    const start = web ?? findStart(source, manifest);
    const reasons = [version.reason, tool.reason, ...(hasBuild ? ['package.json has a script "build": it is run'] : [])];
    const install: Step[] = [
      { run: 'mkdir /app && chown node:node /app' },
      // As root: corepack writes beside node.
      ...tool.prepare,
      { user: 'node' },
      { workdir: '/app' },
      { copy: tool.files, to: './', owner: 'node:node' },
      { run: hasBuild || start === undefined ? tool.install : tool.installForUse },
      { copy: ['.'], to: '.', owner: 'node:node' },
    ];
    const base = `node:${version.tag}-slim`;
    if (start !== undefined) {
      const build: Step[] = hasBuild ? [{ run: `${tool.name} run build` }, ...tool.prune] : [];
      return { reasons: [...reasons, web === undefined ? `it starts with "${start}"` : 'Procfile says how it starts'], stages: [{ base, steps: [...install, ...build, { env: { NODE_ENV: 'production' } }] }], web: start };
    }
    if (!hasBuild) throw new UnbuildableSource('package.json does not say how the app starts. Add a script "start", or a Procfile with "web: <command>".');
    return pagesPlan(source, manifest, tool, base, install, reasons);
  },
};

function pagesPlan(source: SourceTree, manifest: Manifest, tool: PackageTool, base: string, install: readonly Step[], reasons: readonly string[]): RuntimePlan {
  const folder = pagesFolder(manifest);
  return {
    reasons: [...reasons, `nothing says how it starts, so the pages in ${folder}/ are served`],
    stages: [{ name: 'build', base, steps: [...install, { run: `${tool.name} run build` }] }, pagesStage({ from: 'build', folder: `/app/${folder}`, isOnePage: !source.has('index.php') && isOnePage(manifest) })],
    web: undefined,
  };
}

const Texts = z.record(z.string(), z.string()).optional().catch(undefined);

/** As far as it says how to build; what stands there in another form says nothing. */
const Manifest = z.object({
  main: z.string().optional().catch(undefined),
  engines: z.object({ node: z.coerce.string().optional() }).optional().catch(undefined),
  packageManager: z.string().optional().catch(undefined),
  scripts: Texts,
  dependencies: Texts,
  devDependencies: Texts,
});

type Manifest = z.infer<typeof Manifest>;

async function readManifest(source: SourceTree): Promise<Manifest> {
  const text = await source.read('package.json');
  try {
    return Manifest.parse(JSON.parse(text ?? ''));
  } catch {
    throw new UnbuildableSource('package.json is no JSON object. Mend it; "npm pkg get" shows what is wrong.');
  }
}

/** Those that Node.js supports (its release schedule), the one for new work first. */
const MAJORS = [24, 22, 20];

async function findVersion(source: SourceTree, manifest: Manifest): Promise<{ tag: string; reason: string }> {
  for (const file of ['.nvmrc', '.node-version']) {
    const written = firstLine(await source.read(file))?.replace(/^v/, '');
    if (written === undefined) continue;
    const tag = /^\d+(?:\.\d+){0,2}$/.test(written) ? written : /^lts/i.test(written) ? 'lts' : undefined;
    if (tag === undefined) throw new UnbuildableSource(`${file} says "${written.slice(0, 40)}", which is no version of Node.js such as 22 or 22.11.0.`);
    return { tag, reason: `${file} asks for Node.js ${tag}` };
  }
  const range = manifest.engines?.node;
  if (range === undefined) return { tag: String(MAJORS[1]), reason: `nothing asks for a version: Node.js ${MAJORS[1]!}` };
  const isRange = semver.validRange(range) !== null;
  const major = isRange ? (MAJORS.find((each) => semver.intersects(range, `${each}.x`)) ?? semver.minVersion(range)?.major) : undefined;
  if (major === undefined) throw new UnbuildableSource(`package.json asks for Node.js "${range.slice(0, 40)}" (engines.node), which is no version range such as ">=20".`);
  return { tag: String(major), reason: `package.json asks for Node.js ${range} (engines.node): ${major}` };
}

/** What installs packages, as the lock file shows. */
interface PackageTool {
  readonly name: 'npm' | 'yarn' | 'pnpm';
  readonly reason: string;
  /** What decides which packages are installed, so that only a change of these installs anew. */
  readonly files: readonly string[];
  readonly prepare: readonly Step[];
  readonly install: string;
  /** Without what only a build needs. */
  readonly installForUse: string;
  readonly prune: readonly Step[];
}

function findPackageTool(source: SourceTree, manifest: Manifest): PackageTool {
  const files = (...more: string[]): string[] => ['package.json', ...more.filter((path) => source.has(path))];
  const corepack: Step[] = [{ run: 'corepack enable' }];
  if (source.has('pnpm-lock.yaml')) {
    const install = 'pnpm install --frozen-lockfile';
    return { name: 'pnpm', reason: 'pnpm-lock.yaml: packages come with pnpm', files: files('pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'), prepare: corepack, install, installForUse: `${install} --prod`, prune: [{ run: 'CI=true pnpm prune --prod' }] };
  }
  if (source.has('yarn.lock')) {
    const isBerry = source.has('.yarnrc.yml') || /^yarn@(?!1\.)/.test(manifest.packageManager ?? '');
    const install = isBerry ? 'yarn install --immutable' : 'yarn install --frozen-lockfile';
    // Yarn 2 and later needs a plug-in to leave packages out; a larger image is better than one that does not start.
    return { name: 'yarn', reason: 'yarn.lock: packages come with yarn', files: files('yarn.lock', '.yarnrc.yml', '.npmrc'), prepare: corepack, install, installForUse: isBerry ? install : `${install} --production`, prune: isBerry ? [] : [{ run: `${install} --production --ignore-scripts` }] };
  }
  const lock = ['package-lock.json', 'npm-shrinkwrap.json'].find((path) => source.has(path));
  const install = lock === undefined ? 'npm install --no-audit --no-fund' : 'npm ci --no-audit --no-fund';
  const reason = lock === undefined ? 'no lock file: packages come with npm, in their newest fitting versions' : `${lock}: packages come with npm`;
  return { name: 'npm', reason, files: files('package-lock.json', 'npm-shrinkwrap.json', '.npmrc'), prepare: [], install, installForUse: `${install} --omit=dev`, prune: [{ run: 'npm prune --omit=dev --no-audit --no-fund' }] };
}

function findStart(source: SourceTree, manifest: Manifest): string | undefined {
  if (manifest.scripts?.['start'] !== undefined && !isPreview(manifest)) return 'npm start';
  const file = [manifest.main, 'server.js', 'server.mjs', 'index.js', 'index.mjs', 'app.js', 'main.js'].find((path) => path !== undefined && source.has(path.replace(/^\.\//, '')));
  // What a bundler takes in as its entry is no server.
  return file === undefined || isBundled(manifest) ? undefined : `node ${file.replace(/^\.\//, '')}`;
}

/** `start` of these is their development server. */
function isPreview(manifest: Manifest): boolean {
  return /^(?:vite|react-scripts start|ng serve|vue-cli-service serve|parcel|webpack(?:-dev-server)? ?(?:serve)?)\b/.test(manifest.scripts?.['start'] ?? '');
}

const BUNDLERS = ['vite', 'react-scripts', '@angular/cli', '@vue/cli-service', 'parcel', 'astro', '@11ty/eleventy', 'gatsby', 'vitepress', '@docusaurus/core'];

function bundlerOf({ dependencies, devDependencies }: Manifest): string | undefined {
  return BUNDLERS.find((name) => dependencies?.[name] !== undefined || devDependencies?.[name] !== undefined);
}

function isBundled(manifest: Manifest): boolean {
  return bundlerOf(manifest) !== undefined;
}

/** Where each of them writes, by its own documentation. */
function pagesFolder(manifest: Manifest): string {
  const folders: Record<string, string> = { 'react-scripts': 'build', '@docusaurus/core': 'build', '@11ty/eleventy': '_site', gatsby: 'public', vitepress: '.vitepress/dist' };
  return folders[bundlerOf(manifest) ?? ''] ?? 'dist';
}

/** Apps whose router lives in the page: every path without a file is the same page. */
function isOnePage(manifest: Manifest): boolean {
  return ['vite', 'react-scripts', '@angular/cli', '@vue/cli-service', 'parcel'].includes(bundlerOf(manifest) ?? '');
}
