import { Command, CommanderError } from 'commander';
import { PipesError } from '../core/errors.ts';
import { CliContext, type CliOptions } from './cli-context.ts';
import { CliError } from './cli-error.ts';
import { addContainerCommands } from './container-commands.ts';
import { addDomainCommands } from './domain-commands.ts';
import { addTokenCommands } from './token-commands.ts';
import { addPlanCommand } from './plan-command.ts';
import { addUrlCommand } from './url-command.ts';

/**
 * Runs one command of the command line and returns the exit code, which is 0 only on success. Never rejects for what a user
 * can meet; prints what is wrong and the next step on `stderr`.
 * @param argv the arguments alone, without `node` and the script
 */
export async function runCli(argv: readonly string[], options: CliOptions): Promise<number> {
  const program = makeProgram(options);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode; // Commander has printed it.
    if (!(error instanceof CliError) && !(error instanceof PipesError)) throw error;
    options.stderr.write(`pipes: ${error.message}\n`);
    return 1;
  }
}

function makeProgram(options: CliOptions): Command {
  const program = new Command('pipes')
    .description('Runs the image that a host name names, and forwards to it.')
    .option('--json', 'print one JSON document, for programs')
    // Subcommands take these over, so they stand before the subcommands are made.
    .exitOverride()
    .configureOutput({ writeOut: (text) => options.stdout.write(text), writeErr: (text) => options.stderr.write(text) })
    .showHelpAfterError('("pipes --help" and "pipes <command> --help" say more)')
    .addHelpText('after', ENVIRONMENT);
  const context = new CliContext(options, () => program.opts<{ json?: boolean }>().json === true);
  addServerCommands(program);
  addUrlCommand(program, context);
  addPlanCommand(program, context);
  addContainerCommands(program, context);
  addDomainCommands(program, context);
  addTokenCommands(program, context);
  acceptJsonEverywhere(program);
  return program;
}

const ENVIRONMENT = `
Environment:
  PIPES_URL    where pipes is (default: http://localhost:8080)
  PIPES_TOKEN  a token of that pipes; its first start prints one`;

/** Run by the process entry before anything comes here; they stand here to be found in the help. */
function addServerCommands(program: Command): void {
  program.command('serve').description('serve (the default): listen, wake and forward').action(notHere);
  program.command('config').description('print every setting with its value and where it comes from').action(notHere);
}

function notHere(): never {
  throw new CliError('This command is run by the pipes program itself.');
}

/** People write `--json` at the end as well. */
function acceptJsonEverywhere(program: Command): void {
  const visit = (command: Command): void => {
    for (const child of command.commands) {
      if (child.commands.length === 0) child.option('--json', 'print one JSON document, for programs').on('option:json', () => program.setOptionValue('json', true));
      visit(child);
    }
  };
  visit(program);
}
