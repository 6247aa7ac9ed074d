import { StringDecoder } from 'node:string_decoder';

/**
 * The documents of an engine's stream (pull, build, events), as they come. Chunks are cut anywhere, in the middle of a
 * document or of a character; what has no end yet when the stream ends is dropped.
 * @param limitBytes longest document that is believed
 */
export async function* jsonLines(stream: AsyncIterable<Uint8Array | string>, limitBytes = 4 * 1024 * 1024): AsyncGenerator {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(Buffer.from(chunk)))).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > limitBytes) throw new Error(`a line of the engine's stream is longer than ${limitBytes} bytes`);
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as unknown;
  }
  if (rest.trim() !== '') yield* complete(rest);
}

/** The last document may lack its line end. */
function* complete(text: string): Generator {
  try {
    yield JSON.parse(text) as unknown;
  } catch {
    // It was cut off: whoever reads finds out from what is missing.
  }
}
