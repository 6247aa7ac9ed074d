import type { Reference } from '../targets/reference.ts';
import type { Backend, OutputLines, OutputOptions } from './backend.ts';
import type { InstanceControl, InstanceReport } from './instance-control.ts';

export interface InstanceOutputOptions {
  readonly control: Pick<InstanceControl, 'report'>;
  readonly backend: Pick<Backend, 'logs'>;
}

/** What instances write to their standard output and error. Reading it is no use of them: it wakes nothing and keeps nothing awake. */
export class InstanceOutput {
  readonly #options: InstanceOutputOptions;

  constructor(options: InstanceOutputOptions) {
    this.#options = options;
  }

  /**
   * The output of the target's container, in whatever state that is; of one that failed and is gone, the lines that were kept.
   * Following goes on with the container that replaced it. Undefined when there is nothing to read from.
   * @throws PipesError as `Backend.logs`
   */
  async read(reference: Reference, options: OutputOptions): Promise<OutputLines | undefined> {
    const report = this.#options.control.report(reference);
    const { containerId } = report;
    const lines = containerId === null ? undefined : await this.#options.backend.logs(containerId, options);
    if (lines && containerId !== null) return options.follow ? this.#follow(reference, containerId, lines, options) : lines;
    const kept = keptLines(report);
    return kept && once(kept.slice(options.tail === undefined ? 0 : Math.max(0, kept.length - options.tail)));
  }

  async *#follow(reference: Reference, containerId: string, lines: OutputLines, options: OutputOptions): OutputLines {
    let current = containerId;
    for (let output: OutputLines | undefined = lines; output; ) {
      yield* output;
      const next = this.#options.control.report(reference).containerId;
      if (next === null || next === current || options.signal.aborted) return;
      current = next;
      output = await this.#options.backend.logs(next, { ...options, tail: undefined });
    }
  }
}

/** Failures whose error carries the container's last lines. */
const WITH_LINES: ReadonlySet<string> = new Set(['instance_failed', 'instance_not_ready']);

function keptLines({ error }: InstanceReport): readonly string[] | undefined {
  return error && WITH_LINES.has(error.code) ? error.privateDetail : undefined;
}

// eslint-disable-next-line @typescript-eslint/require-await -- what is there already, in the form of what comes
async function* once(lines: readonly string[]): OutputLines {
  if (lines.length > 0) yield lines;
}
