import { afterAll, beforeAll, expect, it } from 'vitest';
import { Apps, type App } from '../test/lab/apps.ts';
import { EngineContainers } from '../test/lab/engine-containers.ts';
import { engineHttp } from '../test/lab/engine-http.ts';
import { request } from '../test/lab/http-client.ts';
import { useLab } from '../test/lab/lab.ts';
import { startPipes, type PipesProcess } from '../test/lab/pipes-process.ts';
import { until } from '../test/lab/until.ts';
import { firstByte } from './first-byte.ts';
import { report, table } from './report.ts';
import { printSpread, spreadOf } from './spread.ts';

const PAIRS = 15;

const dockerHost = useLab().dockerHost;
const containers = new EngineContainers(dockerHost);
const apps = new Apps('bench');
const rows: string[][] = [];
let pipes: PipesProcess;
let app: App;
let twin: string | undefined;

beforeAll(async () => {
  app = await apps.build('wakes', { from: 'tiny' });
  pipes = await startPipes();
});
afterAll(async () => {
  await admin('DELETE', 'container');
  await pipes.stop();
  if (twin !== undefined) await containers.remove(twin);
  const head = ['from the request to the first byte, ms', 'through pipes', 'the engine and a direct request', 'pipes adds, pair by pair', 'may add'];
  const what = `${PAIRS} pairs, alternating; median (least–most). The engine's side is \`docker\`'s own calls for a container of the same image, limits and network, and a direct request that is tried each millisecond.`;
  report('1-wakes', `## Wakes\n\n${what}\n\n${table(head, rows)}`);
});

it('a container that is absent, of an image that is present', async () => {
  const body = await twinOfPipes();
  await compare('absent → create, start', 60, {
    pipes: async () => {
      await admin('DELETE', 'container');
      return () => throughPipes();
    },
    engine: async () => {
      if (twin !== undefined) await containers.remove(twin);
      return async () => {
        twin = await containers.run(app.image, body);
        await directly();
      };
    },
  });
});

it('a container that is stopped', async () => {
  await compare('stopped → start', 25, {
    pipes: async () => {
      await admin('POST', 'container/stop');
      return () => throughPipes();
    },
    engine: async () => {
      await containers.stop(twin!);
      return async () => {
        await containers.start(twin!);
        await directly();
      };
    },
  });
});

it('a container that is paused', async () => {
  await admin('PUT', 'container/config', { idle: { pause: '100ms' } });
  await compare('paused → unpause', 10, {
    pipes: async () => {
      await until('pipes has paused it', async () => {
        // The configuration made a new container, and the old one is still there for a moment.
        const [id, ...others] = await containers.of(app.reference);
        return id !== undefined && others.length === 0 && (await containers.inspect(id)).State.Paused;
      });
      return () => throughPipes();
    },
    engine: async () => {
      await containers.pause(twin!);
      return async () => {
        await containers.unpause(twin!);
        await directly();
      };
    },
  });
});

interface Sides {
  /** Each puts it into the state to begin with, and gives what is timed. */
  readonly pipes: () => Promise<() => Promise<void>>;
  readonly engine: () => Promise<() => Promise<void>>;
}

async function compare(name: string, barMs: number, sides: Sides): Promise<void> {
  const pipesMs: number[] = [];
  const engineMs: number[] = [];
  for (let pair = -1; pair < PAIRS; pair += 1) {
    const order = [['pipes', pipesMs], ['engine', engineMs]] as const;
    for (const [side, times] of pair % 2 === 0 ? order : order.toReversed()) {
      const timed = await sides[side]();
      const startedMs = performance.now();
      await timed();
      // The first pair warms both up.
      if (pair >= 0) times.push(performance.now() - startedMs);
    }
  }
  // Pair by pair, since the machine is slower at some times than at others.
  const added = spreadOf(pipesMs.map((ourMs, pair) => ourMs - engineMs[pair]!));
  rows.push([name, printSpread(spreadOf(pipesMs)), printSpread(spreadOf(engineMs)), printSpread(added), `${barMs}: ${added.median <= barMs ? 'met' : 'missed'}`]);
  expect(pipesMs).toHaveLength(PAIRS);
}

function throughPipes(): Promise<void> {
  return firstByte({ address: '127.0.0.1', port: pipes.port, host: app.host });
}

async function directly(): Promise<void> {
  await firstByte({ address: await containers.address(twin!), port: 80, host: app.host });
}

/** What pipes' own container is made from, without the labels that make it pipes' own. */
async function twinOfPipes(): Promise<Record<string, unknown>> {
  await throughPipes();
  const { Id } = await containers.only(app.reference);
  const { Config, HostConfig } = (await engineHttp(dockerHost, `/containers/${Id}/json`)).json() as { Config: Record<string, unknown>; HostConfig: Record<string, unknown> };
  const { Hostname: _, ...config } = Config;
  return { ...config, Labels: { 'pipes.ignore': 'true' }, HostConfig };
}

async function admin(method: string, path: string, body?: object): Promise<void> {
  const answer = await request(pipes.port, { host: app.host, method, path: `/__proxyapi/${path}`, token: pipes.token, ...(body === undefined ? {} : { body }) });
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
}
