import type { Command } from 'commander';
import { printFlatHost, printPlainHost } from '../targets/host-name.ts';
import { parseReference, printReference } from '../targets/reference.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './cli-context.ts';

/** `pipes url <ref>`: the addresses of a reference. Asks nobody. */
export function addUrlCommand(program: Command, context: CliContext): void {
  program
    .command('url <reference>')
    .description('print the addresses of user/repo[:tag]: the plain form, and the flat one that a wildcard certificate covers')
    .action((text: string) => {
      const { url, base } = context.address();
      const reference = parseReference(text);
      const addressOf = (host: string | undefined): string | null => (host === undefined ? null : `${url.protocol}//${host}${url.port === '' ? '' : `:${url.port}`}/`);
      const plain = addressOf(printPlainHost(reference, base));
      const flat = addressOf(printFlatHost(reference, base));
      if (plain === null && flat === null) throw new CliError(`No host name can carry ${printReference(reference)}: it is too long.`);
      context.output().show({ reference: printReference(reference), plain, flat }, () => [plain, flat].filter((address) => address !== null));
    });
}
