import { mkdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OUT_DIR = join(ROOT, 'test-output', `probe-${process.pid}`);
const built = new Map<string, Promise<string>>();

/**
 * A TypeScript file and what it imports as JavaScript that this Node runs, below `test-output/`; resolves with the path of the
 * result. Types are not checked here: `npm run types` does.
 */
export function build(path: string): Promise<string> {
  const known = built.get(path) ?? emit(path);
  built.set(path, known);
  return known;
}

/** Call when done. */
export function removeBuilt(): void {
  rmSync(OUT_DIR, { recursive: true, force: true });
}

function emit(path: string): Promise<string> {
  mkdirSync(OUT_DIR, { recursive: true });
  const program = ts.createProgram([path], {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    rewriteRelativeImportExtensions: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    noCheck: true,
    types: ['node'],
    rootDir: ROOT,
    outDir: OUT_DIR,
  });
  program.emit();
  return Promise.resolve(join(OUT_DIR, relative(ROOT, path)).replace(/\.ts$/, '.js'));
}
