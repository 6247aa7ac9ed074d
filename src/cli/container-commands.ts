import type { Command } from 'commander';
import { parseReference } from '../targets/reference.ts';
import type { ContainerCommand } from './api-client.ts';
import type { CliContext } from './cli-context.ts';
import { tableLines } from './output.ts';

/** `pipes ls`, `pipes logs <ref>`, and `pipes start|stop|restart <ref>`, which return once it is done. */
export function addContainerCommands(program: Command, context: CliContext): void {
  program
    .command('ls')
    .description('list the containers that your token may see')
    .action(async () => {
      const states = await context.client().containers();
      const rows = states.map(({ reference, state, inFlight, lastUsedAt, error }) => [reference, state, String(inFlight), lastUsedAt ?? '-', error?.code ?? '']);
      context.output().show(states, () => tableLines([['REFERENCE', 'STATE', 'OPEN', 'LAST USED', 'ERROR'], ...rows]));
    });

  program
    .command('logs <reference>')
    .description('print what a container writes')
    .option('-f, --follow', 'go on until the container ends')
    .option('-n, --tail <lines>', 'only the last lines that there are now')
    .action(async (text: string, options: { follow?: boolean; tail?: string }) => {
      const output = context.output();
      await context.client().logs(parseReference(text), { follow: options.follow === true, tail: options.tail }, (lines) => output.stream(lines));
    });

  const describe: Readonly<Record<ContainerCommand, string>> = {
    start: 'wake a container now, and wait until it serves',
    stop: 'stop a container; the next request wakes it again',
    restart: 'replace a container by a new one of the image that its tag means now',
  };
  for (const [name, description] of Object.entries(describe)) {
    program
      .command(`${name} <reference>`)
      .description(description)
      .action(async (text: string) => {
        const state = await context.client().command(name as ContainerCommand, parseReference(text));
        context.output().show(state, () => [`${state.reference} is ${state.state}`]);
      });
  }
}
