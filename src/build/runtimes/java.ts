import { UnbuildableSource } from '../build-plan.ts';
import type { Runtime } from '../runtime.ts';

/** Java, by Maven's `pom.xml`: the jar that `mvn package` makes, on a runtime without a compiler. */
export const javaRuntime: Runtime = {
  name: 'java',
  title: 'Java (Maven)',
  detect: (source) => source.has('pom.xml'),
  plan: async (source, web) => {
    const pom = ((await source.read('pom.xml')) ?? '').replaceAll(/<!--[\s\S]*?-->/g, '');
    if (!/<project[\s>]/.test(pom)) throw new UnbuildableSource('pom.xml holds no <project>. Mend it; "mvn validate" shows what is wrong.');
    const asked = /<(?:java\.version|maven\.compiler\.release|maven\.compiler\.target|release)>\s*(?:1\.)?(\d+)\s*</.exec(pom)?.[1];
    const version = asked ?? DEFAULT_VERSION;
    return {
      reasons: [asked === undefined ? `nothing asks for a version: Java ${version}` : `pom.xml asks for Java ${version}`, web === undefined ? 'the jar that Maven makes is started' : 'Procfile says how it starts'],
      stages: [
        {
          name: 'build',
          base: `maven:3-eclipse-temurin-${version}`,
          steps: [
            { workdir: '/src' },
            { copy: ['pom.xml'], to: './' },
            // What it can tell without the source; the rest comes with the build.
            { run: 'mvn -B -q dependency:go-offline || true' },
            { copy: ['.'], to: '.' },
            { run: 'mvn -B -q package -DskipTests' },
            // Without those that hold sources, documentation, or what was there before repacking.
            { run: `cp "$(ls -S target/*.jar | grep -vE -- '-(sources|javadoc|tests)\\.jar$|original-' | head -n 1)" /app.jar` },
          ],
        },
        { base: `eclipse-temurin:${version}-jre`, steps: [{ run: 'useradd --create-home app' }, { workdir: '/app' }, { copy: ['/app.jar'], to: '/app/target/app.jar', from: 'build' }, { user: 'app' }] },
      ],
      web: web ?? 'java -Dserver.port=$PORT -jar target/app.jar',
    };
  },
};

const DEFAULT_VERSION = '21';
