import { describe, expect, it } from 'vitest';
import { jsonLines } from '../../../src/docker/json-lines.ts';

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const part of parts) yield await Promise.resolve(part);
}
async function read(...parts: (string | Uint8Array)[]): Promise<unknown[]> {
  const documents: unknown[] = [];
  for await (const document of jsonLines(chunks(...parts), 100)) documents.push(document);
  return documents;
}

describe('jsonLines', () => {
  it('reads the same documents however the bytes are cut', async () => {
    const bytes = Buffer.from('{"a":"ü€"}\r\n\n{"b":2}\n{"c":3}');
    const expected = [{ a: 'ü€' }, { b: 2 }, { c: 3 }];
    for (let size = 1; size <= bytes.length; size++) {
      const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
      expect(await read(...parts)).toEqual(expected);
    }
  });

  it('drops a document that was cut off, and refuses one that is no JSON or too long', async () => {
    expect(await read('{"a":1}\n{"b":')).toEqual([{ a: 1 }]);
    await expect(read('{"a":1}\nnonsense\n')).rejects.toMatchObject({ code: 'engine_unavailable' });
    await expect(read(`{"a":"${'x'.repeat(60)}`, 'x'.repeat(60))).rejects.toThrow('longer than 100');
  });

  it('passes over JSON that is no object, and gives what came before a line that is no JSON', async () => {
    expect(await read('null\n7\n"text"\n[{"a":1}]\n{"b":2}\nnull')).toEqual([{ b: 2 }]);
    const documents: unknown[] = [];
    await expect((async () => {
      for await (const document of jsonLines(chunks('{"a":1}\n{"b":2}\n{"c":\n{"d":4}\n'))) documents.push(document);
    })()).rejects.toThrow('no JSON');
    expect(documents).toEqual([{ a: 1 }, { b: 2 }]);
  });
});
