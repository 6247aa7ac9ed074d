import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PipesFile } from '../../src/store/pipes-file.ts';
import { STATE_VERSION } from '../../src/store/migrations.ts';
import { check } from './fuzzing.ts';
import { anyBytes, anyJson, bent, broken, textOf } from './inputs.ts';

let root: string;
beforeAll(() => (root = mkdtempSync(join(tmpdir(), 'pipes-fuzz-state-'))));
afterAll(() => rmSync(root, { recursive: true }));

const good = {
  version: STATE_VERSION,
  owner: '0123456789abcdef',
  containers: { 'alice/web:main': { port: 3000, env: { A: 'b' }, volumes: ['data:/data'], idle: { pause: '1m' } } },
  repositories: { 'alice/web': { memory: '256m' } },
  tokens: [{ name: 'admin', sha256: 'a'.repeat(64), scopes: ['admin'], createdAt: '2026-01-01T00:00:00.000Z', expiresAt: '2030-01-01T00:00:00.000Z' }],
  images: [{ name: 'docker.io/alice/web:main', id: 'sha256:x', pullMs: 12, lastUsedAtMs: 1 }],
  domains: { 'www.example.com': 'alice/web' },
};
const TEXT = `${JSON.stringify(good, null, 2)}\n`;

/** Starts with this file. A refusal is one error and leaves every byte; what is taken loses nothing with the next write. */
async function startsOrRefuses(bytes: Buffer): Promise<void> {
  const directory = mkdtempSync(join(root, 'c'));
  const path = join(directory, 'pipes.json');
  writeFileSync(path, bytes);
  const file = new PipesFile(directory);
  try {
    await file.start();
  } catch (thrown) {
    expect(thrown).toMatchObject({ name: 'PipesError' });
    expect((thrown as Error).message).toContain(`${path} cannot be used: `);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(readdirSync(directory)).toEqual(['pipes.json']);
    rmSync(directory, { recursive: true });
    return;
  }
  const before = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  await file.putToken({ name: 'fuzz', sha256: 'b'.repeat(64), scopes: ['admin'], createdAt: '2026-01-01T00:00:00.000Z' });
  const after = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown> & { tokens: { name: string }[] };
  await file.stop();
  // Earlier versions had fewer keys; what they had is still there.
  const { version: _before, images: _images, domains: _domains, tokens: _tokens, ...kept } = before;
  expect(after).toMatchObject(kept);
  expect(after.tokens.filter(({ name }) => name !== 'fuzz')).toEqual((before['tokens'] as { name: string }[]).filter(({ name }) => name !== 'fuzz'));
  if (before['version'] === STATE_VERSION) expect(after).toMatchObject({ images: before['images'], domains: before['domains'] });
  expect(readFileSync(`${path}.1`).equals(bytes)).toBe(true);
  rmSync(directory, { recursive: true });
}

describe('pipes.json', () => {
  it.each(['null', 'true', '0', '""', '[]', '{}', '', '\0', 'nul', '{"version":1}', `{"version":${STATE_VERSION + 1}}`, '{"version":"2"}', '{"__proto__":{}}', TEXT])('that holds %j is taken whole, or refused and left as it is', async (text) => {
    await startsOrRefuses(Buffer.from(text));
  });

  it('cut off anywhere is taken whole, or refused and left as it is', async () => {
    await check(fc.asyncProperty(fc.nat({ max: TEXT.length }), async (end) => startsOrRefuses(Buffer.from(TEXT).subarray(0, end))), 60);
  });

  it('with wrong values anywhere is taken whole, or refused and left as it is', async () => {
    const version = fc.constantFrom<unknown>(1, STATE_VERSION, STATE_VERSION + 1, 0, -1, 1.5, '1', null, undefined);
    await check(fc.asyncProperty(fc.oneof(bent(good), fc.tuple(bent(good), version).map(([document, number]) => ({ ...(document as object), version: number }))), async (document) => startsOrRefuses(Buffer.from(textOf(document)))), 150);
    await check(fc.asyncProperty(fc.oneof(broken(Buffer.from(TEXT)), anyBytes, anyJson.map((value) => Buffer.from(JSON.stringify(value)))), startsOrRefuses), 150);
  });
});
