import { runCli } from './cli/cli.ts';
import { describeSettings, loadSettings, SettingsError, type LoadedSettings } from './config/load-settings.ts';
import { PipesError } from './core/errors.ts';
import { makeLog, type Log } from './core/log.ts';
import { leaveRoot } from './leave-root.ts';
import { neededRights, Pipes } from './pipes.ts';

/** Runs `serve` and `config` itself, since they need the settings; every other command is the client's. */
export async function main(argv: readonly string[]): Promise<number> {
  const [command = 'serve', ...rest] = argv;
  try {
    if (command === 'serve' && rest.length === 0) return await serve();
    if (command === 'config' && rest.every((option) => option === '--json')) return printConfig(rest.includes('--json'));
  } catch (thrown) {
    return complain(thrown);
  }
  return await runCli(argv, { env: process.env, stdout: process.stdout, stderr: process.stderr });
}

const IN_IMAGE = process.env['PIPES_IN_IMAGE'] === '1';

function readSettings(): LoadedSettings {
  return loadSettings({ environment: process.env, envFile: '.env', inImage: IN_IMAGE });
}

/** Resolves with the exit code once it was told to stop and has. */
async function serve(): Promise<number> {
  const loaded = readSettings();
  // Looked at in any case: the first look makes a pipe non-blocking, so that nobody who does not read the log can hold up the end.
  const { isTTY } = process.stdout;
  const { LOG_LEVEL: level, LOG_FORMAT: format = isTTY ? 'pretty' : 'json' } = loaded.values;
  const log = await makeLog({ level, format });
  if (IN_IMAGE) leaveRootBehind(loaded, log);
  const pipes = new Pipes(loaded, log);
  const told = untilTold(log);
  keepGoing(log);
  const { port, newAdminToken } = await pipes.start();
  if (newAdminToken !== undefined) process.stderr.write(`Admin token, shown this once: ${newAdminToken}\n`);
  log.info({ bind: loaded.values.BIND, port }, `listening; try http://localhost:${port}/`);
  await told;
  await pipes.stop();
  log.info('stopped; containers stay up');
  return 0;
}

/** The image begins as root, since only so it can take over a folder that root owns, and join the group of whatever socket it is given. */
function leaveRootBehind({ values }: LoadedSettings, log: Log): void {
  const left = leaveRoot(neededRights(values));
  if (left === undefined) return;
  if ('obstacle' in left) log.warn(`serving as root: ${left.obstacle}`);
  else log.info(left, 'root is left behind');
}

function printConfig(asJson: boolean): number {
  const rows = describeSettings(readSettings());
  if (asJson) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  }
  const nameWidth = Math.max(...rows.map(({ name }) => name.length));
  const valueWidth = Math.min(40, Math.max(...rows.map(({ value }) => (value ?? '').length)));
  for (const { name, value, origin } of rows) process.stdout.write(`${name.padEnd(nameWidth)}  ${(value ?? '').padEnd(valueWidth)}  ${origin}\n`);
  return 0;
}

/** The first signal stops in order; the second one means it. */
function untilTold(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let isToldBefore = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (isToldBefore) process.exit(1);
      isToldBefore = true;
      log.info({ signal }, 'stopping: no new connections, those in flight may finish');
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** One request's bug must not take every other request down with it. Each of these is a bug, and is logged as one. */
function keepGoing(log: Log): void {
  process.on('uncaughtException', (error) => log.fatal({ err: error }, 'an error that nobody handled'));
  process.on('unhandledRejection', (reason) => log.fatal({ err: reason }, 'a promise that nobody handled'));
}

/** Everything that stops the start is one line that says what to do. */
function complain(thrown: unknown): number {
  const isExpected = thrown instanceof SettingsError || thrown instanceof PipesError;
  process.stderr.write(`pipes: ${isExpected ? oneLine(thrown.message) : systemMessage(thrown)}\n`);
  return 1;
}

/** A message may quote a file or a setting, and what stands there is not for the terminal to obey. */
function oneLine(message: string): string {
  const line = message.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)} …` : line;
}

const LONGEST_MESSAGE = 2_000;

function systemMessage(thrown: unknown): string {
  const error = thrown as NodeJS.ErrnoException & { port?: number; address?: string };
  if (error.code === 'EADDRINUSE') return `port ${error.port ?? '?'} on ${error.address ?? '?'} is taken by another program; set PORT to a free one.`;
  if (error.code === 'EACCES' && error.port !== undefined) return `port ${error.port} needs more rights; set PORT to one above 1023, or run as root.`;
  if (error.code === 'EADDRNOTAVAIL') return `BIND ${error.address ?? '?'} is no address of this machine.`;
  return error.stack ?? String(thrown);
}

process.exitCode = await main(process.argv.slice(2));
