import { UnbuildableSource } from '../build-plan.ts';
import type { Runtime } from '../runtime.ts';
import type { SourceTree } from '../source-tree.ts';

/** Go, by `go.mod`: one program without dependencies on the system, in an image that has little else. */
export const goRuntime: Runtime = {
  name: 'go',
  title: 'Go',
  detect: (source) => source.has('go.mod'),
  plan: async (source, web) => {
    const mod = (await source.read('go.mod')) ?? '';
    // `toolchain` is what its author built with; `go` the least that it needs (Go Modules Reference).
    const version = /^toolchain go(\d+\.\d+(?:\.\d+)?)/m.exec(mod)?.[1] ?? /^go (\d+\.\d+(?:\.\d+)?)/m.exec(mod)?.[1] ?? DEFAULT_VERSION;
    const { path, reason } = findProgram(source, mod);
    const isVendored = source.has('vendor/modules.txt');
    const modules = ['go.mod', ...(source.has('go.sum') ? ['go.sum'] : [])];
    return {
      reasons: [`go.mod asks for Go ${version}`, reason, ...(isVendored ? ['vendor/: modules come with the source'] : [])],
      stages: [
        {
          name: 'build',
          base: `golang:${version}`,
          steps: [
            { workdir: '/src' },
            ...(isVendored ? [] : [{ copy: modules, to: './' }, { run: 'go mod download' }]),
            { copy: ['.'], to: '.' },
            { run: `CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/app ${path}` },
          ],
        },
        // A shell for Procfile lines, certificates, time zones and users come with it.
        { base: 'alpine:3', steps: [{ run: 'adduser -D app' }, { workdir: '/app' }, { copy: ['/out/app'], to: '/usr/local/bin/app', from: 'build' }, { copy: ['.'], to: '.', owner: 'app' }, { user: 'app' }] },
      ],
      web: web ?? 'app',
    };
  },
};

const DEFAULT_VERSION = '1.24';

/** The main package: at the top, or the one below `cmd/`, or the one there with the module's name. */
function findProgram(source: SourceTree, mod: string): { path: string; reason: string } {
  const commands = [...new Set(source.paths.map((path) => /^cmd\/([^/]+)\/[^/]+\.go$/.exec(path)?.[1]).filter((name) => name !== undefined))];
  if (source.has('main.go')) return { path: '.', reason: 'the program is at the top' };
  const module = /^module\s+(\S+)/m.exec(mod)?.[1]?.replace(/\/v\d+$/, '').split('/').at(-1);
  const command = commands.length === 1 ? commands[0] : commands.find((name) => name === module || name === 'server' || name === 'web');
  if (command !== undefined) return { path: `./cmd/${command}`, reason: `the program is cmd/${command}` };
  if (commands.length > 1) throw new UnbuildableSource(`There are several programs below cmd/ (${commands.slice(0, 5).join(', ')}), and none is called ${module ?? 'like the module'}, server or web. Rename one, or add a Dockerfile.`);
  if (source.paths.some((path) => /^[^/]+\.go$/.test(path))) return { path: '.', reason: 'the program is at the top' };
  throw new UnbuildableSource('There is a go.mod, and no program at the top or below cmd/. Add one, or a Dockerfile.');
}
