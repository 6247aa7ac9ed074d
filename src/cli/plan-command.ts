import { resolve } from 'node:path';
import type { Command } from 'commander';
import { UnbuildableSource } from '../build/build-plan.ts';
import { planSource } from '../build/detect.ts';
import { DirectoryTree } from '../build/directory-tree.ts';
import { printDockerfile } from '../build/dockerfile.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './cli-context.ts';

/** `pipes plan [dir]`: how a folder would become an image. Asks nobody and builds nothing. */
export function addPlanCommand(program: Command, context: CliContext): void {
  program
    .command('plan [dir]')
    .description('print how a folder without a Dockerfile becomes an image: what was found, and a Dockerfile to build or keep')
    .action(async (dir = '.') => {
      const source = await open(dir as string);
      if (source.has('Dockerfile')) throw new CliError('There is a Dockerfile, so that is the plan. Build it with "docker build".');
      const plan = await planSource(source).catch(explain);
      const dockerfile = printDockerfile(plan);
      context.output().show({ ...plan, dockerfile }, () => [...plan.reasons.map((reason) => `# ${reason}`), ...otherProcesses(plan.processes), '', dockerfile.trimEnd()]);
    });
}

async function open(dir: string): Promise<DirectoryTree> {
  try {
    return await DirectoryTree.open(resolve(dir));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new CliError(`${dir} cannot be read as a folder (${code}).`);
  }
}

function explain(thrown: unknown): never {
  throw thrown instanceof UnbuildableSource ? new CliError(thrown.message) : thrown;
}

function otherProcesses(processes: Readonly<Record<string, string>>): string[] {
  return Object.entries(processes).filter(([name]) => name !== 'web').map(([name, line]) => `# Procfile has ${name}: ${line}`);
}
