import { describe, expect, it } from 'vitest';
import { MIGRATIONS, migrate, STATE_VERSION, type Migration } from '../../../src/store/migrations.ts';

const chain: Migration[] = [
  ({ name, ...rest }) => ({ ...rest, title: name }),
  (document) => ({ ...document, added: true }),
];

describe('migrate', () => {
  it('goes step by step from any version to the present one', () => {
    expect(migrate({ version: 1, name: 'x' }, chain)).toEqual({ version: 3, title: 'x', added: true });
    expect(migrate({ version: 2, title: 'x' }, chain)).toEqual({ version: 3, title: 'x', added: true });
    expect(migrate({ version: 3, title: 'x' }, chain)).toEqual({ version: 3, title: 'x' });
  });

  it('leaves what it was given as it was', () => {
    const document = Object.freeze({ version: 1, name: 'x' });
    migrate(document, chain);
    expect(document).toEqual({ version: 1, name: 'x' });
  });

  it.each([[{ version: 4 }, /newer pipes/], [{}, /no valid "version"/], [{ version: 0 }, /no valid/], [{ version: 1.5 }, /no valid/], [{ version: '1' }, /no valid/], [[], /not a JSON object/], [null, /not a JSON object/], ['x', /not a JSON object/]])('refuses %j', (document, message) => {
    expect(() => migrate(document, chain)).toThrow(message);
  });

  it('knows as many versions as there are steps, and one', () => {
    expect(STATE_VERSION).toBe(MIGRATIONS.length + 1);
  });
});
