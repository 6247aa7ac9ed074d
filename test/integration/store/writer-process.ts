import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const project = fileURLToPath(new URL('../../../', import.meta.url));

/** The store and its writer as plain JavaScript, since Node 20 runs no TypeScript. Below the project, where its packages are found. */
export class CompiledWriter {
  readonly #directory: string;
  readonly #started: WriterProcess[] = [];

  constructor() {
    mkdirSync(join(project, 'test-output'), { recursive: true });
    this.#directory = mkdtempSync(join(project, 'test-output/store-'));
    for (const room of ['core', 'images', 'security', 'targets', 'store']) {
      const names = readdirSync(join(project, 'src', room), { recursive: true, encoding: 'utf8' });
      for (const name of names) if (name.endsWith('.ts')) this.#compile(join('src', room, name));
    }
    this.#compile('test/integration/store/store-writer.ts');
  }

  start(configDir: string, firstNumber: number): WriterProcess {
    const script = join(this.#directory, 'test/integration/store/store-writer.js');
    const started = new WriterProcess(spawn(process.execPath, [script, configDir, String(firstNumber)], { stdio: ['ignore', 'pipe', 'inherit'] }));
    this.#started.push(started);
    return started;
  }

  /** Ends what still runs, and removes the compiled files. */
  async remove(): Promise<void> {
    await Promise.all(this.#started.map((started) => started.kill()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #compile(path: string): void {
    const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, rewriteRelativeImportExtensions: true };
    const { outputText } = ts.transpileModule(readFileSync(join(project, path), 'utf8'), { compilerOptions, fileName: path });
    const target = join(this.#directory, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
}

/** One run of the writer. */
export class WriterProcess {
  /** The highest acknowledged number of each key. */
  readonly acknowledged = new Map<string, number>();
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #refusal: string | undefined;
  #isReady = false;
  #acknowledgements = 0;
  #changed: () => void = () => undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    const lines = createInterface({ input: child.stdout! });
    lines.on('line', (line) => this.#take(line));
    // The reader ends after the process: what was printed before the kill has been read then.
    this.#ended = Promise.all([new Promise((resolve) => child.once('exit', resolve)), new Promise((resolve) => lines.once('close', resolve))]).then(() => this.#changed());
  }

  /** Why it did not start, once that is known; undefined when it did. */
  async refusal(): Promise<string | undefined> {
    await this.#until(() => this.#isReady || this.#refusal !== undefined);
    return this.#refusal;
  }

  /** Resolves when so many writes have been acknowledged. */
  async acknowledges(count: number): Promise<void> {
    await this.#until(() => this.#acknowledgements >= count);
  }

  /** SIGKILL, and waits until it is gone and all that it printed is read. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #take(line: string): void {
    const [key = '', rest = ''] = line.split(/ (.*)/);
    if (key === 'ready') this.#isReady = true;
    else if (key === 'refused') this.#refusal = rest;
    else {
      this.acknowledged.set(key, Number(rest));
      this.#acknowledgements++;
    }
    this.#changed();
  }

  async #until(condition: () => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(20_000);
    deadline.addEventListener('abort', () => this.#changed(), { once: true });
    while (!condition()) {
      deadline.throwIfAborted();
      if (this.#child.exitCode !== null && this.#refusal === undefined) throw new Error(`the writer exited with ${this.#child.exitCode}`);
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }
}
