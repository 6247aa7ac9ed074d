/**
 * The last lines out of what the engine's log call gives: frames of both streams, each of eight bytes of header and its payload (Docker Engine API,
 * "Stream format"). A container with a terminal has no frames; its bytes are taken as they are.
 */
export function logLines(bytes: Buffer, count: number): string[] {
  const text = isFramed(bytes) ? unframe(bytes) : bytes.toString('utf8');
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines.slice(-count).map((line) => line.slice(0, LONGEST_LINE));
}

/** What docker-init (tini) writes as its last line when it could not run the container's program; undefined for all else. */
export function initFailure(lines: readonly string[]): string | undefined {
  const match = /^\[FATAL tini \(\d+\)\] exec (.+) failed: (.+)$/.exec(lines.at(-1) ?? '');
  return match ? `${match[1]!}: ${match[2]!}` : undefined;
}

/** These lines end up in answers and in memory; one program's line may be megabytes. */
const LONGEST_LINE = 4096;
const HEADER_BYTES = 8;

function isFramed(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && bytes[0]! <= 2 && bytes[1] === 0 && bytes[2] === 0 && bytes[3] === 0;
}

/** A frame may end in the middle of a character, but a character never spans both streams: decoding the joined payloads is right for each line. */
function unframe(bytes: Buffer): string {
  const payloads: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 4);
    payloads.push(bytes.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(payloads).toString('utf8');
}
