import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogLines, LONGEST_LINE } from '../../../src/docker/log-lines.ts';

function frame(stream: 1 | 2, payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

function read(...chunks: Buffer[]): string[] {
  const cutter = new LogLines();
  return [...chunks.flatMap((chunk) => cutter.take(chunk)), ...cutter.end()];
}

describe('LogLines', () => {
  it('gives the lines of both streams, each when it is whole', () => {
    const cutter = new LogLines();
    expect(cutter.take(frame(1, 'out 1\nout'))).toEqual(['out 1']);
    expect(cutter.take(frame(2, 'err 1\n'))).toEqual(['err 1']);
    expect(cutter.take(frame(1, ' 2\nlast'))).toEqual(['out 2']);
    expect(cutter.end()).toEqual(['last']);
  });

  it('gives the same wherever the bytes are cut, characters and headers included', () => {
    const lines = ['one', '', 'ünï→code 🎉', 'x'.repeat(300)];
    const bytes = Buffer.concat(lines.map((line, index) => frame(index % 2 === 0 ? 1 : 2, `${line}\n`)));
    fc.assert(fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      expect(read(...at.slice(1).map((end, index) => bytes.subarray(at[index], end)))).toEqual(lines);
    }));
    expect(read(...Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(lines);
  });

  it('joins a character that two frames share', () => {
    const [first, second] = [Buffer.from('é').subarray(0, 1), Buffer.from('é\n').subarray(1)];
    expect(read(frame(1, first), frame(2, 'between\n'), frame(1, second))).toEqual(['between', 'é']);
  });

  it('takes the bytes of a terminal as they are', () => {
    expect(read(Buffer.from('a\r\nb\r\n'))).toEqual(['a', 'b']);
    expect(read(Buffer.from('h'), Buffer.from('i'))).toEqual(['hi']);
  });

  it('holds a line that never ends in bounded memory, by giving it in pieces', () => {
    const cutter = new LogLines();
    const given = [...cutter.take(frame(1, 'y'.repeat(LONGEST_LINE))), ...cutter.take(frame(1, 'y'.repeat(LONGEST_LINE)))];
    expect(given.map((piece) => piece.length)).toEqual([LONGEST_LINE]);
    expect(cutter.take(frame(1, `${'z'.repeat(10)}\n`)).map((piece) => piece.length)).toEqual([LONGEST_LINE, 10]);
    expect(cutter.end()).toEqual([]);
  });

  it('says nothing for no output', () => {
    expect(read()).toEqual([]);
    expect(read(frame(1, ''))).toEqual([]);
  });
});
