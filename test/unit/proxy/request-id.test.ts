import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { requestIdOf } from '../../../src/proxy/request-id.ts';

function asking(id: string | undefined): IncomingMessage {
  return { headers: id === undefined ? {} : { 'x-request-id': id } } as unknown as IncomingMessage;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('requestIdOf', () => {
  it('keeps a sane id of a trusted peer', () => expect(requestIdOf(asking('01HX-abc.def:9'), true)).toBe('01HX-abc.def:9'));
  it('makes one for a peer that is not trusted', () => expect(requestIdOf(asking('01HX'), false)).toMatch(UUID));
  it.each(['', 'two words', 'x'.repeat(129), 'a\u00e9', '{"json":1}', '<b>'])('makes one where the given one is unfit for a log: %s', (id) => expect(requestIdOf(asking(id), true)).toMatch(UUID));
  it('makes a new one each time', () => expect(requestIdOf(asking(undefined), true)).not.toBe(requestIdOf(asking(undefined), true)));
});
