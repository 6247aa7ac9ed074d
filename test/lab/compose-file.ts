import { readFileSync } from 'node:fs';

/** One service of a compose file, as far as pipes' own uses the format. */
export interface ComposeService {
  readonly build: string;
  readonly image: string;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  /** With `${…}` as it is written. */
  readonly environment: Readonly<Record<string, string>>;
  readonly read_only: string;
  readonly tmpfs: readonly string[];
  readonly security_opt: readonly string[];
  readonly restart: string;
  readonly stop_grace_period: string;
}

type Node = string | Node[] | { [key: string]: Node };

/** Reads the little of YAML that docker-compose.yml is written in; any other line throws. For machines without `docker compose`. */
export function readCompose(path: string): { readonly services: Readonly<Record<string, ComposeService>> } {
  const lines = readFileSync(path, 'utf8').split('\n').map((text) => ({ text, indent: text.search(/\S/) })).filter(({ text, indent }) => indent >= 0 && text[indent] !== '#');
  return readBlock(lines, 0) as unknown as { services: Record<string, ComposeService> };
}

interface Line {
  readonly text: string;
  readonly indent: number;
}

/** Takes the lines of one block off the front. */
function readBlock(lines: Line[], indent: number): Node {
  if (lines.at(0)?.text.startsWith('- ', indent)) {
    const items: Node[] = [];
    while (lines.at(0)?.indent === indent) items.push(scalar(lines.shift()!.text.slice(indent + 2)));
    return items;
  }
  const block: { [key: string]: Node } = {};
  while (lines.at(0)?.indent === indent) {
    const { text } = lines.shift()!;
    const match = /^([A-Za-z_]+):(?: (.+))?$/.exec(text.slice(indent));
    if (!match) throw new Error(`docker-compose.yml has a line that this reader does not know: ${text}`);
    block[match[1]!] = match[2] === undefined ? readBlock(lines, lines.at(0)?.indent ?? 0) : scalar(match[2]);
  }
  return block;
}

function scalar(text: string): string {
  return /^"(.*)"$/.exec(text)?.[1] ?? text;
}
