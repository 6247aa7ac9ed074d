import { describe, expect, it } from 'vitest';
import { readDockerConfig } from '../../../src/images/docker-config.ts';

const pair = (text: string): string => Buffer.from(text).toString('base64');
const read = (config: unknown) => readDockerConfig(JSON.stringify(config), '/x/config.json');

describe('readDockerConfig', () => {
  it('reads logins, whatever form the key has', () => {
    const { logins, warnings } = read({
      auths: {
        'https://index.docker.io/v1/': { auth: pair('alice:se:cret') },
        'http://127.0.0.1:5000/v2/': { username: 'bob', password: 'pw', email: 'b@x' },
        'Registry.example.com': { auth: pair('carol:p'), identitytoken: 'idt' },
        'empty.example.com': {},
      },
      HttpHeaders: { a: 'b' },
    });
    expect(logins).toEqual([
      { registry: 'docker.io', username: 'alice', password: 'se:cret' },
      { registry: '127.0.0.1:5000', username: 'bob', password: 'pw', email: 'b@x' },
      { registry: 'registry.example.com', username: 'carol', password: 'p', identityToken: 'idt' },
    ]);
    expect(warnings).toEqual([]);
  });

  it('takes an empty file for no logins', () => {
    expect(readDockerConfig('', '/x').logins).toEqual([]);
    expect(readDockerConfig('{}', '/x').logins).toEqual([]);
  });

  it('names what it does not support', () => {
    const { logins, warnings } = read({ auths: { 'a.example': {} }, credsStore: 'desktop', credHelpers: { 'gcr.io': 'gcloud', 'https://x.example/': 'ecr-login' } });
    expect(logins).toEqual([]);
    expect(warnings.join('\n')).toMatch(/"desktop"[^]*"gcloud" for gcr\.io[^]*"ecr-login" for x\.example/);
  });

  it.each([
    ['no JSON', '{"auths": {"x": {"auth": "c2VjcmV0', /not valid JSON/],
    ['a wrong type', '{"auths": []}', /auths/],
    ['an "auth" without a colon', `{"auths": {"x.example": {"auth": "${pair('secret')}"}}}`, /"auth" of x\.example/],
  ])('refuses %s, names the file, and quotes no secret', (_what, text, message) => {
    let error: unknown;
    try {
      readDockerConfig(text, '/x/config.json');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'invalid_request', message: expect.stringMatching(message) as string });
    expect((error as Error).message).toContain('/x/config.json');
    expect((error as Error).message).not.toMatch(/secret|c2Vj/);
  });
});
