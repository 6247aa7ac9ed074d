import { ApiClient } from './api-client.ts';
import { Output, type TextSink } from './output.ts';
import { readPipesUrl, type PipesAddress } from './pipes-address.ts';

export interface CliOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
}

/** What the commands share: where pipes is, its client, and where results go. Made when asked for, so `--help` needs nothing. */
export class CliContext {
  readonly #options: CliOptions;
  readonly #isJson: () => boolean;

  constructor(options: CliOptions, isJson: () => boolean) {
    this.#options = options;
    this.#isJson = isJson;
  }

  address(): PipesAddress {
    return readPipesUrl(this.#options.env['PIPES_URL']);
  }

  client(): ApiClient {
    return new ApiClient(this.address(), this.#options.env['PIPES_TOKEN'] || undefined);
  }

  output(): Output {
    return new Output(this.#options.stdout, this.#isJson());
  }
}
