import type { Command } from 'commander';
import type { CliContext } from './cli-context.ts';
import { tableLines } from './output.ts';

/** `pipes tokens add|ls|rm`, for administrators. */
export function addTokenCommands(program: Command, context: CliContext): void {
  const tokens = program.command('tokens').description('make, list and end the tokens of this pipes (needs an admin token)');

  tokens
    .command('add <name>')
    .description('make a token and print it; it is shown this once')
    .requiredOption('--scope <scope>', 'admin, deploy:<pattern> or read:<pattern> over user/repo, such as deploy:alice/*; may be repeated', collect)
    .option('--expires <when>', 'a duration from now such as 30d, or a time such as 2030-01-31T00:00:00Z (default: never)')
    .action(async (name: string, options: { scope: string[]; expires?: string }) => {
      const { scope: scopes, expires } = options;
      const made = await context.client().addToken({ name, scopes, ...(expires === undefined ? {} : { expires }) });
      context.output().show(made, () => [made.token]);
    });

  tokens
    .command('ls')
    .description('list the tokens, without their secrets')
    .action(async () => {
      const entries = await context.client().tokens();
      const rows = entries.map(({ name, scopes, createdAt, expiresAt }) => [name, scopes.join(' '), createdAt, expiresAt ?? 'never']);
      context.output().show(entries, () => tableLines([['NAME', 'SCOPES', 'MADE', 'EXPIRES'], ...rows]));
    });

  tokens
    .command('rm <name>')
    .description('end a token; from then on it opens nothing')
    .action(async (name: string) => {
      await context.client().removeToken(name);
      context.output().show({ removed: name }, () => [`The token "${name}" is gone.`]);
    });
}

function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}
