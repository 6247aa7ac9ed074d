import type { Command } from 'commander';
import { asciiDomain, domainFault } from '../targets/domain-name.ts';
import { parseReference, repositoryOf } from '../targets/reference.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './cli-context.ts';

/** `pipes domains <user/repo> [add|rm <host>…]`: the host names that are bound to a repository. */
export function addDomainCommands(program: Command, context: CliContext): void {
  program
    .command('domains <repository> [action] [hosts...]')
    .description('list the host names that are bound to user/repo; "add <host>…" binds more of them, "rm <host>…" gives them up')
    .action(async (text: string, action: string | undefined, hosts: string[]) => {
      const repository = readRepository(text);
      const client = context.client();
      const bound = await client.domains(repository);
      const domains = action === undefined ? bound : await client.setDomains(repository, changed(bound, action, hosts));
      context.output().show({ repository, domains }, () => domains);
    });
}

function readRepository(text: string): string {
  const reference = parseReference(text);
  if (text.includes(':')) throw new CliError(`Host names are bound to all of a repository; write user/repo, without ":${reference.tag}".`);
  return repositoryOf(reference);
}

function changed(bound: readonly string[], action: string, hosts: readonly string[]): string[] {
  if (action !== 'add' && action !== 'rm') throw new CliError(`"${action}" does nothing here; write "add <host>…" or "rm <host>…".`);
  if (hosts.length === 0) throw new CliError(`Say which host names to ${action}.`);
  const names = hosts.map((host) => {
    const fault = domainFault(host);
    if (fault !== undefined) throw new CliError(`"${host}" ${fault}.`);
    return asciiDomain(host);
  });
  if (action === 'add') return [...new Set([...bound, ...names])];
  const missing = names.find((name) => !bound.includes(name));
  if (missing !== undefined) throw new CliError(`${missing} is not bound to it.`);
  return bound.filter((domain) => !names.includes(domain));
}
