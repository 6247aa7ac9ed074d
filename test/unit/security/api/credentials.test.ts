import { beforeEach, describe, expect, it } from 'vitest';
import { Credentials } from '../../../../src/security/api/credentials.ts';
import type { StoredToken, TokenStore } from '../../../../src/security/api/token-store.ts';

class Tokens implements TokenStore {
  readonly kept: StoredToken[] = [];
  tokens = (): readonly StoredToken[] => this.kept;
  putToken = (token: StoredToken): Promise<void> => Promise.resolve(void this.kept.push(token));
  removeToken = (name: string): Promise<boolean> => {
    const index = this.kept.findIndex((token) => token.name === name);
    if (index >= 0) this.kept.splice(index, 1);
    return Promise.resolve(index >= 0);
  };
}

const CLIENT = '192.0.2.1';
const API_TOKEN = 'a chosen admin token';
let store: Tokens;
let nowMs: number;
const make = (apiToken?: string, isOpen = false): Credentials => new Credentials({ store, apiToken, isOpen, nowMs: () => nowMs, steadyMs: () => nowMs });

beforeEach(() => {
  store = new Tokens();
  nowMs = Date.parse('2030-01-01T00:00:00Z');
});

describe('the first admin token', () => {
  it('is made once, and kept as a hash alone', async () => {
    const token = await make().ensureAdminToken();
    expect(token).toMatch(/^pipes_[A-Za-z0-9_-]{43}$/);
    expect(store.kept).toMatchObject([{ name: 'admin', scopes: ['admin'] }]);
    expect(JSON.stringify(store.kept)).not.toContain(token!);
    expect(await make().ensureAdminToken()).toBeUndefined();
    expect(make().authenticate(`Bearer ${token!}`, CLIENT)).toEqual({ name: 'admin', scopes: [{ kind: 'admin' }] });
  });

  it('is not made where API_TOKEN or an open API makes it needless', async () => {
    expect(await make(API_TOKEN).ensureAdminToken()).toBeUndefined();
    expect(await make(undefined, true).ensureAdminToken()).toBeUndefined();
    expect(store.kept).toEqual([]);
  });

  it('is made anew when no valid one is left, under a name of its own', async () => {
    await make().makeToken('admin', [{ kind: 'admin' }], new Date(nowMs + 1000));
    nowMs += 1000;
    expect(await make().ensureAdminToken()).toBeDefined();
    expect(store.kept.map(({ name }) => name)).toEqual(['admin', 'admin-2']);
  });
});

describe('authenticate', () => {
  it('knows its tokens, whatever the case of the scheme', async () => {
    const credentials = make();
    const token = await credentials.makeToken('ci', [{ kind: 'deploy', pattern: 'alice/*' }, { kind: 'read', pattern: '*' }], undefined);
    const principal = { name: 'ci', scopes: [{ kind: 'deploy', pattern: 'alice/*' }, { kind: 'read', pattern: '*' }] };
    expect(credentials.authenticate(`Bearer ${token}`, CLIENT)).toEqual(principal);
    expect(credentials.authenticate(`bearer  ${token} `, CLIENT)).toEqual(principal);
    for (const header of [undefined, '', token, `Basic ${token}`, `token ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, 'Bearer ']) {
      expect(credentials.authenticate(header, CLIENT)).toBeUndefined();
    }
  });

  it('ends with the expiry, to the millisecond, and with removal', async () => {
    const credentials = make();
    const token = await credentials.makeToken('short', [{ kind: 'admin' }], new Date(nowMs + 1000));
    nowMs += 999;
    expect(credentials.authenticate(`Bearer ${token}`, CLIENT)).toBeDefined();
    nowMs += 1;
    expect(credentials.authenticate(`Bearer ${token}`, CLIENT)).toBeUndefined();
    const other = await credentials.makeToken('other', [{ kind: 'admin' }], undefined);
    await credentials.removeToken('other');
    expect(credentials.authenticate(`Bearer ${other}`, CLIENT)).toBeUndefined();
  });

  it('takes a damaged expiry for past', () => {
    const credentials = make();
    store.kept.push({ name: 'x', sha256: 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9', scopes: ['admin'], createdAt: '', expiresAt: 'never' });
    expect(credentials.authenticate('Bearer hello', CLIENT)).toBeUndefined();
  });

  it('takes API_TOKEN, spaces and all', () => {
    expect(make(API_TOKEN).authenticate(`Bearer ${API_TOKEN}`, CLIENT)).toEqual({ name: 'API_TOKEN', scopes: [{ kind: 'admin' }] });
    expect(make(API_TOKEN).authenticate(`Bearer ${API_TOKEN.slice(0, -1)}`, CLIENT)).toBeUndefined();
  });

  it('lets everybody in under API_AUTH=none', () => {
    expect(make(undefined, true).authenticate(undefined, CLIENT)).toEqual({ name: 'everybody', scopes: [{ kind: 'admin' }] });
  });

  it('slows a client that guesses, and nobody else', async () => {
    const credentials = make('chosen-admin-token');
    const good = await credentials.makeToken('ci', [{ kind: 'admin' }], undefined);
    for (let guess = 0; guess < 10; guess++) expect(credentials.authenticate(`Bearer guess-${guess}`, CLIENT)).toBeUndefined();
    expect(() => credentials.authenticate('Bearer chosen-admin-token', CLIENT)).toThrow(expect.objectContaining({ code: 'rate_limited', retryAfterS: 6 }) as Error);
    expect(credentials.authenticate(`Bearer ${good}`, CLIENT)).toBeDefined();
    expect(credentials.authenticate('Bearer chosen-admin-token', '192.0.2.2')).toBeDefined();
    nowMs += 6000;
    expect(credentials.authenticate('Bearer chosen-admin-token', CLIENT)).toBeDefined();
  });
});

describe('isOwnToken', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const made = `pipes_${'A-z_0'.repeat(8)}123`;

  it.each([
    'Bearer pipes_x', 'bearer pipes_x', 'token pipes_x', 'pipes_x', 'Bearer\tpipes_x', 'Bearer   pipes_x  ', 'ApiKey pipes_x', '  pipes_x', 'Bearer pipes_',
    'Bearer other, Bearer pipes_x', 'Bearer pipes_x, Bearer other', 'Basic dTpw,token pipes_x', `Digest username="u", response="${made}"`, `Custom key='${made}'`, `X a=${made};b=1`, `Bearer "${made}"`, `Bearer=${made}`,
    basic('git:pipes_x'), basic('pipes_x:'), basic('pipes_x'), basic('a:b:pipes_x'), `basic\t${basic('u:pipes_x').slice(6)}`, `BASIC  ${basic('u:pipes_x').slice(6)} `, `Bearer x, ${basic('u:pipes_x')}`, basic(`u:"${made}"`),
  ])('drops %s', (header) => {
    expect(make().isOwnToken(header)).toBe(true);
    expect(make(API_TOKEN).isOwnToken(header)).toBe(true);
  });

  it.each([`Bearer ${API_TOKEN}`, `token ${API_TOKEN}`, `Any\t ${API_TOKEN}  `, API_TOKEN, basic(`git:${API_TOKEN}`), basic(`${API_TOKEN}:`), basic(`${API_TOKEN}:x`), basic(API_TOKEN)])('drops %s, which is API_TOKEN', (header) => {
    expect(make(API_TOKEN).isOwnToken(header)).toBe(true);
    expect(make('another-admin-token-').isOwnToken(header)).toBe(false);
  });

  const chosen = 'chosen:admin,token';
  it.each([`Bearer ${chosen}`, chosen, basic(`git:${chosen}`), basic(chosen)])('drops an API_TOKEN that holds separators: %s', (header) => {
    expect(make(chosen).isOwnToken(header)).toBe(true);
  });
  it.each(['Bearer other, Bearer chosen-admin-token', 'Digest username="chosen-admin-token"', 'Custom key=chosen-admin-token;b', basic('u:chosen-admin-token')])('drops an API_TOKEN in any place: %s', (header) => {
    expect(make('chosen-admin-token').isOwnToken(header)).toBe(true);
    expect(make('chosen-admin-tokem').isOwnToken(header)).toBe(false);
  });

  it.each([undefined, '', 'Bearer other', 'Basic !!!', basic('user:password'), 'Digest username="pipes_"', 'Digest username="pipes_fan", realm="x"', 'Bearer xpipes_', `Bearer x${made}`, `Digest username="${made}x"`, basic('xpipes_y:z'), `Bearer ${API_TOKEN.slice(0, -1)}`, `Bearer ${API_TOKEN}x`, 'Basic'])('lets %s travel on', (header) => {
    expect(make(API_TOKEN).isOwnToken(header)).toBe(false);
    expect(make().isOwnToken(header)).toBe(false);
  });
});

describe('makeToken', () => {
  it('refuses a name that is taken, also while it is being written', async () => {
    const credentials = make();
    const ends = await Promise.allSettled([1, 2].map(() => credentials.makeToken('ci', [{ kind: 'admin' }], undefined)));
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await expect(credentials.makeToken('ci', [{ kind: 'admin' }], undefined)).rejects.toMatchObject({ code: 'invalid_request' });
    expect(store.kept).toHaveLength(1);
  });
});
