import { StringDecoder } from 'node:string_decoder';

/**
 * Cuts what the engine's log call gives into whole lines, as it comes: frames of both streams, each of eight bytes of header and its
 * payload (Docker Engine API, "Stream format"). A container with a terminal has no frames; its bytes are taken as they are.
 */
export class LogLines {
  readonly #streams = [new LineCutter(), new LineCutter(), new LineCutter()];
  #isFramed: boolean | undefined;
  /** Bytes of a header, or of what may be one, that is not whole yet. */
  #head: Buffer = Buffer.alloc(0);
  #stream = this.#streams[0]!;
  #payloadLeft = 0;

  /** The lines that this chunk completes. */
  take(chunk: Buffer): string[] {
    const lines: string[] = [];
    let bytes = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    this.#head = NOTHING;
    this.#isFramed ??= looksFramed(bytes);
    if (this.#isFramed === false) this.#stream.take(bytes, lines);
    else if (this.#isFramed === undefined) this.#head = bytes;
    else while (bytes.length > 0) bytes = this.#takeFramed(bytes, lines);
    return lines;
  }

  /** What had no line end when the output ended. */
  end(): string[] {
    const lines: string[] = [];
    if (this.#isFramed === undefined) this.#stream.take(this.#head, lines);
    for (const stream of this.#streams) stream.end(lines);
    return lines;
  }

  /** Takes the next header or piece of payload; gives the rest. */
  #takeFramed(bytes: Buffer, lines: string[]): Buffer {
    if (this.#payloadLeft > 0) {
      const piece = bytes.subarray(0, this.#payloadLeft);
      this.#payloadLeft -= piece.length;
      this.#stream.take(piece, lines);
      return bytes.subarray(piece.length);
    }
    if (bytes.length < HEADER_BYTES) {
      this.#head = bytes;
      return NOTHING;
    }
    this.#stream = this.#streams[bytes[0]!] ?? this.#streams[1]!;
    this.#payloadLeft = bytes.readUInt32BE(4);
    return bytes.subarray(HEADER_BYTES);
  }
}

/** More than any program means as one line; the rest of it comes as further lines, so that memory stays bounded. */
export const LONGEST_LINE = 65_536;

const HEADER_BYTES = 8;
const NOTHING = Buffer.alloc(0);

/** Undefined while the bytes are too few to tell. */
function looksFramed(bytes: Buffer): boolean | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0]! > 2 || bytes.subarray(1, 4).some((byte) => byte !== 0)) return false;
  return bytes.length < HEADER_BYTES ? undefined : true;
}

/** One of the streams: a frame may end in the middle of a line, or of a character. */
class LineCutter {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  take(bytes: Buffer, lines: string[]): void {
    const parts = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = parts.pop()!;
    for (const part of parts) addLine(part.endsWith('\r') ? part.slice(0, -1) : part, lines);
    while (this.#rest.length > LONGEST_LINE) {
      lines.push(this.#rest.slice(0, LONGEST_LINE));
      this.#rest = this.#rest.slice(LONGEST_LINE);
    }
  }

  end(lines: string[]): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    if (rest !== '') addLine(rest, lines);
  }
}

function addLine(line: string, lines: string[]): void {
  for (let at = 0; at === 0 || at < line.length; at += LONGEST_LINE) lines.push(line.slice(at, at + LONGEST_LINE));
}
