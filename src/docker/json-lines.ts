import { StringDecoder } from 'node:string_decoder';
import { PipesError } from '../core/errors.ts';

/** One document of a stream; what engines write is always an object. */
export type StreamDocument = Readonly<Record<string, unknown>>;

/**
 * The documents of an engine's stream (pull, build, events), as they come. Chunks are cut anywhere, in the middle of a
 * document or of a character; what has no end yet when the stream ends is dropped, and so is JSON that is no object.
 * @param limitBytes longest document that is believed
 * @throws PipesError `engine_unavailable` for what is no JSON, or is too long; what came before it was given
 */
export async function* jsonLines(stream: AsyncIterable<Uint8Array | string>, limitBytes = 4 * 1024 * 1024): AsyncGenerator<StreamDocument> {
  const decoder = new StringDecoder('utf8');
  /** Pieces of the line that has no end yet; joined once, since it may come byte by byte. */
  let pieces: string[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const lines = (typeof chunk === 'string' ? chunk : decoder.write(Buffer.from(chunk))).split('\n');
    for (const [at, line] of lines.entries()) {
      pieces.push(line);
      length += line.length;
      if (length > limitBytes) throw unreadable(`is longer than ${limitBytes} bytes`);
      if (at === lines.length - 1) break;
      const document = read(pieces.join(''));
      pieces = [];
      length = 0;
      if (document) yield document;
    }
  }
  const document = readOrDrop(pieces.join(''));
  if (document) yield document;
}

function read(line: string): StreamDocument | undefined {
  if (line.trim() === '') return undefined;
  let document: unknown;
  try {
    document = JSON.parse(line);
  } catch (error) {
    throw unreadable('is no JSON', error);
  }
  return typeof document === 'object' && document !== null && !Array.isArray(document) ? (document as StreamDocument) : undefined;
}

/** The last document may lack its line end. Where it was cut off, whoever reads finds out from what is missing. */
function readOrDrop(rest: string): StreamDocument | undefined {
  try {
    return read(rest);
  } catch {
    return undefined;
  }
}

function unreadable(what: string, cause?: unknown): PipesError {
  return new PipesError('engine_unavailable', `A line of the engine's stream ${what}.`, { cause });
}
