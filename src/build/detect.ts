import { APP_PORT, UnbuildableSource, type BuildPlan } from './build-plan.ts';
import { parseProcfile, type Processes } from './procfile.ts';
import { goRuntime } from './runtimes/go.ts';
import { javaRuntime } from './runtimes/java.ts';
import { nodeRuntime } from './runtimes/node.ts';
import { pythonRuntime } from './runtimes/python.ts';
import { staticRuntime } from './runtimes/static-site.ts';
import type { Runtime } from './runtime.ts';
import type { SourceTree } from './source-tree.ts';

/**
 * In this order, and the first that knows the source plans it. Compiled languages come first, since such sources often hold a
 * `package.json` for their pages; a static site is what has pages and nothing else.
 */
export const RUNTIMES: readonly Runtime[] = [goRuntime, javaRuntime, pythonRuntime, nodeRuntime, staticRuntime];

/**
 * How to build a source that has no Dockerfile.
 * @throws UnbuildableSource for one that no runtime knows, or that lacks something; its message says what to do
 */
export async function planSource(source: SourceTree): Promise<BuildPlan> {
  const procfile = await readProcfile(source);
  const runtime = RUNTIMES.find((each) => each.detect(source));
  if (!runtime) throw new UnbuildableSource(`Nothing here says how to build it. Add a Dockerfile, or one of: ${MARKS}.`);
  const { web, ...plan } = await runtime.plan(source, procfile['web']);
  const processes: Processes = { ...(web !== undefined && { web }), ...procfile };
  return { runtime: runtime.name, port: APP_PORT, ...plan, processes };
}

const MARKS = 'go.mod, pom.xml, requirements.txt, pyproject.toml, package.json, index.html';

async function readProcfile(source: SourceTree): Promise<Processes> {
  const text = await source.read('Procfile');
  if (text === undefined) return {};
  const { processes, faults } = parseProcfile(text);
  const [fault] = faults;
  if (fault) throw new UnbuildableSource(`Procfile, line ${fault.line}: ${fault.message}.`);
  return processes;
}
