/** Where the command line writes to; process.stdout and process.stderr are such. */
export interface TextSink {
  write(text: string): unknown;
}

/** Results go to standard output: lines for people, or with `--json` one JSON document for programs. */
export class Output {
  readonly #stdout: TextSink;
  readonly #asJson: boolean;
  #rest = '';

  constructor(stdout: TextSink, asJson: boolean) {
    this.#stdout = stdout;
    this.#asJson = asJson;
  }

  /** Text as it comes; with `--json` each line is one JSON string. */
  stream(text: string): void {
    if (!this.#asJson) return void this.#stdout.write(text);
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#stdout.write(`${JSON.stringify(line)}\n`);
  }

  show(document: unknown, lines: () => readonly string[]): void {
    const texts = this.#asJson ? [JSON.stringify(document, null, 2)] : lines();
    for (const text of texts) this.#stdout.write(`${text}\n`);
  }
}

/** Columns as wide as their widest cell; the first row is the heading. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd());
}
