import type { BuildPlan, Stage, Step } from './build-plan.ts';

/** The plan as a Dockerfile that `docker build` takes as it is. */
export function printDockerfile(plan: BuildPlan): string {
  const stages = plan.stages.map(printStage);
  const web = plan.processes['web'];
  const end = [`ENV PORT=${plan.port}`, `EXPOSE ${plan.port}`, ...(web === undefined ? [] : [`CMD ${JSON.stringify(commandOf(web))}`])];
  return `${[...stages, ''].join('\n\n').trimEnd()}\n${end.join('\n')}\n`;
}

/** A process type's line as a command. The shell gives its place to the program, which then gets the signals itself. */
export function commandOf(line: string): string[] {
  // `exec` takes one simple command; for anything else the shell stays.
  const isSimple = !/[;&|<>()`\n]|^\s*(?:exec|cd|if|for|while|case|until|export|set|test)\b|^\s*[A-Za-z_]\w*=/.test(line);
  return ['/bin/sh', '-c', isSimple ? `exec ${line}` : line];
}

function printStage({ base, name, steps }: Stage): string {
  return [`FROM ${base}${name === undefined ? '' : ` AS ${name}`}`, ...steps.map(printStep)].join('\n');
}

function printStep(step: Step): string {
  if ('run' in step) return `RUN ${step.run}`;
  if ('workdir' in step) return `WORKDIR ${step.workdir}`;
  if ('user' in step) return `USER ${step.user}`;
  if ('env' in step) return `ENV ${Object.entries(step.env).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ')}`;
  const options = [...(step.from === undefined ? [] : [`--from=${step.from}`]), ...(step.owner === undefined ? [] : [`--chown=${step.owner}`])];
  // In JSON, since a path may hold a blank.
  const words = [...step.copy, step.to];
  return ['COPY', ...options, words.some((word) => /\s/.test(word)) ? JSON.stringify(words) : words.join(' ')].join(' ');
}
