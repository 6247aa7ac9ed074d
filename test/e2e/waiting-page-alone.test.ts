import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PipesError } from '../../src/core/errors.ts';
import type { WakeProgress } from '../../src/instances/wake-progress.ts';
import { waitingPage } from '../../src/proxy/waiting-page.ts';
import { printProgress } from '../../src/proxy/wake-events.ts';
import { browserObstacle, openBrowser } from '../lab/browser.ts';
import { until } from '../lab/until.ts';

/** The page in a browser before a pipes of the test's making, which tells and does what real ones seldom do. */
class FakePipes {
  /** What page loads are shown; undefined: the app is there. */
  shows: WakeProgress | undefined = { phase: 'asleep' };
  /** How the stream is answered. */
  answers: 'stream' | 'refusal' | 'silence' = 'stream';
  loads = 0;
  listens = 0;
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      if (request.url === '/__proxyapi/wake') this.#listen(response);
      else if (request.url === '/') this.#load(response);
      else response.writeHead(404).end();
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://main.web.alice.localhost:${this.#port}/`;
  }

  get isHeard(): boolean {
    return this.#streams.size > 0;
  }

  async open(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  tell(progress: WakeProgress): void {
    for (const stream of this.#streams) stream.write(`data: ${printProgress(progress)}\n\n`);
  }

  async told(progress: WakeProgress): Promise<void> {
    await until('the page listens', () => this.#streams.size > 0);
    this.tell(progress);
  }

  #load(response: ServerResponse): void {
    this.loads += 1;
    if (this.shows === undefined) return void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>the app</title>');
    const { html, contentSecurityPolicy } = waitingPage('alice/web:main', this.shows);
    response.writeHead(503, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': contentSecurityPolicy, 'Cache-Control': 'no-store' }).end(html);
  }

  #listen(response: ServerResponse): void {
    this.listens += 1;
    if (this.answers === 'refusal') return void response.writeHead(503).end();
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    // Its head has to go out, or there is nothing that could be silent.
    response.write('retry: 100\n\n');
    if (this.answers === 'silence') return;
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }
}

const FAILED = (retryAfterS?: number): WakeProgress => ({ phase: 'failed', error: new PipesError('instance_failed', 'It exited with code 3.', retryAfterS === undefined ? {} : { retryAfterS }) });
const PULLING: WakeProgress = {
  phase: 'pulling',
  layers: [
    { id: '3f4e5d6c7b80', phase: 'downloading', doneBytes: 5e6, totalBytes: 20e6 },
    { id: 'a41c22d09e71', phase: 'waiting', doneBytes: 0, totalBytes: undefined },
    { id: '77be02c4d1aa', phase: 'done', doneBytes: 0, totalBytes: undefined },
  ],
};

describe.skipIf(browserObstacle() !== undefined)('the waiting page', () => {
  let browser: Browser;
  let pipes: FakePipes;
  let page: Page;

  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
  });
  beforeEach(async () => {
    pipes = new FakePipes();
    await pipes.open();
    page = await browser.newPage();
  });
  afterEach(async () => {
    await page.close();
    await pipes.close();
  });

  const status = (): Promise<string | null> => page.locator('#status').textContent();
  const isApp = (): Promise<void> => until('the page is the app', async () => (await page.title().catch(() => '')) === 'the app').then(() => undefined);
  const look = (from: Page): Promise<string> => from.evaluate("document.querySelector('main').outerHTML");

  it('looks the same by what it is told as by what it was sent', async () => {
    const [still, sent] = [await browser.newContext({ javaScriptEnabled: false }), new FakePipes()];
    await sent.open();
    const other = await still.newPage();
    await page.goto(pipes.url);
    for (const progress of [{ phase: 'queued', ahead: 2 }, PULLING, { phase: 'creating' }, { phase: 'starting' }, { phase: 'probing' }] as const) {
      sent.shows = progress;
      await other.goto(sent.url);
      await pipes.told(progress);
      const expected = await look(other);
      // Empty or not, what is hidden is seen by nobody.
      const visible = (html: string): string => html.replace(/<section id="pull"[^>]* hidden="">[^]*?<\/section>/, '');
      await until(`${progress.phase} is shown`, async () => visible(await look(page)) === visible(expected)).catch(async () => expect(visible(await look(page))).toBe(visible(expected)));
      expect(await page.title()).toBe(await other.title());
    }
    await still.close();
    await sent.close();
  });

  it('announces each phase once: a download that grows changes nothing in the live region', async () => {
    await page.goto(pipes.url);
    await page.evaluate(`window.announced = []; new MutationObserver(() => announced.push(document.querySelector('[role=status]').innerText.trim())).observe(document.querySelector('[role=status]'), { subtree: true, childList: true, characterData: true })`);
    for (let megabytes = 1; megabytes <= 10; megabytes += 1) await pipes.told({ phase: 'pulling', layers: [{ id: 'a', phase: 'downloading', doneBytes: megabytes * 1e6, totalBytes: 10e6 }] });
    await pipes.told({ phase: 'starting' });
    await until('the last is announced', async () => (await status()) === 'Starting the container');
    expect(await page.evaluate('announced')).toEqual(['Getting the image', 'Starting the container']);
  });

  it('never takes its bar back', async () => {
    await page.goto(pipes.url);
    const layer = (doneBytes: number) => ({ id: 'a', phase: 'downloading', doneBytes, totalBytes: 10e6 }) as const;
    await pipes.told({ phase: 'pulling', layers: [layer(9e6)] });
    await pipes.told({ phase: 'pulling', layers: [layer(9e6), { ...layer(0), id: 'b', totalBytes: 90e6 }] });
    await until('the second layer is shown', async () => (await page.locator('#layers li').count()) === 2);
    expect(Number(await page.locator('#bar').getAttribute('value'))).toBeCloseTo(0.9);
  });

  it('becomes the app once, with its history and its hash as they were', async () => {
    await page.goto(`${pipes.url}#part`);
    const entries = await page.evaluate<number>('history.length');
    await pipes.told({ phase: 'starting' });
    pipes.shows = undefined;
    pipes.tell({ phase: 'ready' });
    await isApp();
    expect([page.url(), await page.evaluate('history.length'), pipes.loads]).toEqual([`${pipes.url}#part`, entries, 2]);
  });

  it('counts down to the next try, and tries again', async () => {
    pipes.shows = FAILED(3);
    await page.goto(pipes.url);
    const texts = new Set<string | null>();
    pipes.shows = undefined;
    await until('it tries again', async () => {
      texts.add(await page.locator('#countdown').textContent({ timeout: 500 }).catch(() => null));
      return pipes.loads > 1;
    });
    expect([...texts]).toEqual(expect.arrayContaining(['Next try in 3 s', 'Next try in 2 s', 'Next try in 1 s']));
    await isApp();
  });

  it('an old failure that is told again does not put the next try off', async () => {
    pipes.shows = FAILED(2);
    await page.goto(pipes.url);
    await pipes.told(FAILED(600));
    pipes.shows = undefined;
    await isApp();
  });

  it('listens again after a failure, and tries soon when it is told that it may', async () => {
    pipes.shows = FAILED(600);
    await page.clock.install();
    await page.goto(pipes.url);
    await pipes.told(FAILED(600));
    await until('it has left the stream', () => !pipes.isHeard);
    expect(pipes.listens).toBe(1);
    await page.clock.runFor(11_000);
    await until('it listens again', () => pipes.listens > 1);
    await pipes.told({ phase: 'asleep' });
    await until('the countdown is short', async () => /in [1-5] s$/.test((await page.locator('#countdown').textContent()) ?? ''));
    expect(await status()).toBe('The container exited while starting');
    pipes.shows = undefined;
    await page.clock.runFor(6_000);
    await isApp();
  });

  it('wakes what sleeps by loading itself again', async () => {
    await page.clock.install();
    await page.goto(pipes.url);
    await pipes.told({ phase: 'asleep' });
    pipes.shows = undefined;
    await page.clock.runFor(6_000);
    await isApp();
    expect(pipes.loads).toBe(2);
  });

  it('that nobody looks at does not try again until somebody does', async () => {
    await page.addInitScript(`Object.defineProperty(document, 'hidden', { get: () => window.isHidden ?? true })`);
    pipes.shows = FAILED(1);
    await page.clock.install();
    await page.goto(pipes.url);
    pipes.shows = undefined;
    await page.clock.runFor(60_000);
    await page.getByText('Trying again').waitFor();
    expect(pipes.loads).toBe(1);
    await page.evaluate(`window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))`);
    await isApp();
  });

  it('outlives a pipes that is away, and says so', async () => {
    await page.goto(pipes.url);
    await pipes.told({ phase: 'starting' });
    await until('it is shown', async () => (await status()) === 'Starting the container');
    await pipes.close();
    await page.getByText('Connection lost').waitFor();
    await pipes.open();
    await pipes.told({ phase: 'probing' });
    await until('it follows again', async () => (await status()) === 'Almost there');
    expect(pipes.loads).toBe(1);
  });

  it('that is refused its stream loads itself again after some tries, to be told why', async () => {
    pipes.answers = 'refusal';
    pipes.shows = { phase: 'starting' };
    await page.clock.install();
    await page.goto(pipes.url);
    pipes.shows = undefined;
    await until('it loads itself again', async () => {
      if (pipes.loads === 1) await page.clock.runFor(500).catch(() => undefined);
      return pipes.loads > 1;
    }, 20_000);
    expect(pipes.listens).toBe(4);
    await isApp();
  });

  it('whose stream is held back on the way loads itself again', async () => {
    pipes.answers = 'silence';
    pipes.shows = { phase: 'starting' };
    await page.clock.install();
    await page.goto(pipes.url);
    await until('it listens', () => pipes.listens === 1);
    pipes.shows = undefined;
    await page.clock.runFor(8_000);
    expect(pipes.loads).toBe(1);
    await page.clock.runFor(3_000);
    await isApp();
  });
});
