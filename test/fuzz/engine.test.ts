import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PipesError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { EngineClient } from '../../src/docker/client.ts';
import { lastLogLines } from '../../src/docker/container-log.ts';
import { DockerBackend } from '../../src/docker/docker-backend.ts';
import { DockerImages } from '../../src/docker/docker-images.ts';
import { jsonLines } from '../../src/docker/json-lines.ts';
import { LogLines, LONGEST_LINE } from '../../src/docker/log-lines.ts';
import type { BackendListener } from '../../src/instances/backend.ts';
import { parseReference } from '../../src/targets/reference.ts';
import { check, within } from './fuzzing.ts';
import { anyBytes, anyJson, bent, broken, pieces, textOf } from './inputs.ts';
import { frame, OddEngine } from './odd-engine.ts';
import { twist } from './twists.ts';

const ID = 'c0ffee'.padEnd(64, '0');
const ref = { registry: 'docker.io', repository: 'alice/web', tag: 'main' };
const signal = new AbortController().signal;

let engine: OddEngine;
beforeAll(async () => {
  engine = new OddEngine();
  await engine.start();
});
afterAll(() => engine.stop());

/** Everything that is asked of an engine, besides its events. */
async function everything(): Promise<Map<string, unknown>> {
  const client = new EngineClient({ host: engine.path, timeoutMs: 10_000 });
  const backend = new DockerBackend({ client, owner: 'fuzz', networks: { isolate: true, network: undefined, networkPool: '10.213.0.0/16', upstream: 'publish' }, egress: { egress: 'all', openPorts: [] }, log: silentLog });
  const images = new DockerImages(client);
  const questions: Record<string, () => Promise<unknown>> = {
    list: () => backend.list(),
    inspect: () => backend.inspect(ID),
    start: () => backend.start(ID),
    stop: () => backend.stop(ID, 1),
    pause: () => backend.pause(ID),
    remove: () => backend.remove(ID),
    lastLines: () => backend.lastLines(ID, 10),
    logs: async () => {
      for await (const lines of (await backend.logs(ID, { follow: false, tail: undefined, signal })) ?? []) for (const line of lines) expect(line.length).toBeLessThanOrEqual(LONGEST_LINE);
    },
    stats: () => backend.stats(ID, signal),
    foreign: () => backend.findForeign(parseReference('alice/web:main'), ref, undefined),
    owners: () => backend.foreignOwners(),
    find: () => images.find(ref),
    localTags: () => images.localTags(ref),
    pull: () => images.pull(ref, undefined, () => undefined, signal),
    images: () => images.list(),
    layers: () => images.layers('sha256:abc'),
    used: () => images.idsOfContainers(),
  };
  const ends = await Promise.all(Object.entries(questions).map(async ([name, ask]) => [name, await within(25_000, name, ask()).catch((thrown: unknown) => thrown)] as const));
  return new Map(ends);
}

/** Only a mistake in what pipes asks (status 400) may count as one of pipes' own. */
function expectTyped(name: string, end: unknown): void {
  if (!(end instanceof Error)) return;
  if (!(end instanceof PipesError)) throw new Error(`${name} threw what is no PipesError`, { cause: end });
  const { code, cause } = end;
  if (code === 'internal') expect((cause as { statusCode?: number } | undefined)?.statusCode, `${name}: ${String((cause as Error | undefined)?.stack)}`).toBe(400);
}

describe('an engine that answers anything', () => {
  it('is understood when it is sane', async () => {
    engine.twist = undefined;
    for (const [name, end] of await everything()) expect(end, name).not.toBeInstanceOf(Error);
  });

  it('gives values or typed errors, in time, to whoever asks', async () => {
    await check(
      fc.asyncProperty(twist, fc.constantFrom(/./, /^GET \/containers/, /^GET \/images/, /create$/, /\/json$/, /version/, /networks/), async (next, where) => {
        engine.twist = (request) => (where.test(request) && (where.source === 'version' || !request.endsWith('/version')) ? next : undefined);
        for (const [name, end] of await everything()) expectTyped(name, end);
      }),
      150,
    );
  });

  it('tells events in any bytes: none that is whole is lost before the stream breaks, and it is followed again', async () => {
    engine.twist = undefined;
    const seen: string[] = [];
    let restored = 0;
    const client = new EngineClient({ host: engine.path });
    const backend = new DockerBackend({ client, owner: 'fuzz', networks: { isolate: true, network: undefined, networkPool: '10.213.0.0/16', upstream: 'publish' }, egress: { egress: 'all', openPorts: [] }, log: silentLog });
    const listener: BackendListener = { changed: (id, what) => seen.push(`${id} ${what}`), lost: () => undefined, restored: () => (restored += 1) };
    const watch = backend.watch(listener);
    const event = (id: string): Buffer => Buffer.from(`${JSON.stringify({ Type: 'container', Action: 'start', Actor: { ID: id, Attributes: {} } })}\n`);
    const until = async (question: () => boolean): Promise<void> => {
      for (const endMs = Date.now() + 20_000; !question(); ) {
        if (Date.now() > endMs) throw new Error('the events are not followed any more');
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    let round = 0;
    try {
      await until(() => restored > 0);
      const harmless = fc.oneof(anyJson, bent({ Type: 'container', Action: 'start', Actor: { ID: 'x' } })).map((document) => Buffer.from(`${textOf(document)}\n`));
      await check(
        fc.asyncProperty(fc.array(harmless, { maxLength: 4 }), fc.func(fc.nat()), async (others, cut) => {
          const mine = `event${(round += 1)}`;
          const bytes = Buffer.concat([...others, event(mine)]);
          await engine.tell(fc.sample(pieces(bytes), { seed: cut(), numRuns: 1 })[0]!);
          await until(() => seen.includes(`${mine} started`));
        }),
        60,
      );
      await check(
        fc.asyncProperty(fc.oneof(anyBytes, broken(event('x'))).map((bytes) => Buffer.concat([bytes, Buffer.from('\n{\n')])), async (noise) => {
          const before = restored;
          await engine.tell([noise]);
          await until(() => restored > before);
        }),
        4,
      );
    } finally {
      await watch.stop();
    }
  });
});

describe('streams', () => {
  const stream = async function* (chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield await Promise.resolve(chunk);
  };

  it('of JSON give the same documents however they are cut', async () => {
    const objects = fc.array(fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 5 }), anyJson, { maxKeys: 3 }), { maxLength: 5 });
    await check(
      fc.asyncProperty(objects.chain((documents) => pieces(Buffer.from(documents.map((document) => `${JSON.stringify(document)}\r\n`).join(''))).map((chunks) => ({ documents, chunks }))), async ({ documents, chunks }) => {
        const read: unknown[] = [];
        for await (const document of jsonLines(stream(chunks))) read.push(document);
        expect(JSON.stringify(read)).toEqual(JSON.stringify(documents));
      }),
      500,
    );
  });

  it('of output are cut into bounded lines, the same however they come, whatever the frames say', async () => {
    const frames = fc.array(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => frame(`${text}\n`)), fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes)), anyBytes), { maxLength: 6 }).map((parts) => Buffer.concat(parts));
    await check(
      fc.asyncProperty(frames.chain((bytes) => pieces(bytes).map((chunks) => ({ bytes, chunks }))), async ({ bytes, chunks }) => {
        const whole = new LogLines();
        const expected = [...whole.take(bytes), ...whole.end()];
        const cutter = new LogLines();
        expect([...chunks.flatMap((chunk) => cutter.take(chunk)), ...cutter.end()]).toEqual(expected);
        expect(await lastLogLines(stream(chunks), 2)).toEqual(expected.slice(-2));
      }),
      500,
    );
  });
});

