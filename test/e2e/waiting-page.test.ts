import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { Apps, greeting, type App } from '../lab/apps.ts';
import { browserObstacle, keepScreenshot, openBrowser } from '../lab/browser.ts';
import { EngineContainers } from '../lab/engine-containers.ts';
import { request } from '../lab/http-client.ts';
import { useLab } from '../lab/lab.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';
import { openSlowLink, type SlowLink } from '../lab/slow-link.ts';
import { until } from '../lab/until.ts';

const containers = new EngineContainers(useLab().dockerHost);

let link: SlowLink;
/** Their registry is behind the slow link. */
let apps: Apps;
let pipes: PipesProcess;
let browser: Browser;

const url = (app: App, path = '/', port = pipes.port): string => `http://${app.host}:${port}${path}`;
const visit = (app: App, headers: Record<string, string> = {}, method = 'GET') => request(pipes.port, { host: app.host, headers, method });
const manage = (app: App, path: string, method: string, body?: object) => request(pipes.port, { host: app.host, path: `/__proxyapi${path}`, method, token: pipes.token, ...(body === undefined ? {} : { body }) });
const phaseOf = (page: Page): Promise<string | null> => page.locator('#page').getAttribute('data-phase');
const becomesApp = (page: Page, app: App, timeout = 30_000): Promise<void> => page.getByText(greeting(app).trim()).waitFor({ timeout });

/** A page of its own, and what its script, its policy or its requests gave reason to complain of. */
async function openPage(options: BrowserContextOptions = {}): Promise<{ page: Page; complaints: string[]; close: () => Promise<void> }> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // Chromium writes each answer of 400 and above there, and the waiting page is one.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  page.on('request', (sent) => {
    if (!sent.url().startsWith('data:') && !new URL(sent.url()).hostname.endsWith('.localhost')) complaints.push(`asked for ${sent.url()}`);
  });
  return { page, complaints, close: () => context.close() };
}

describe.skipIf(browserObstacle() !== undefined)('in a browser', () => {
  beforeAll(async () => {
    link = await openSlowLink(useLab().openRegistry, Infinity);
    apps = new Apps('waiting', { registry: link.host });
    [pipes, browser] = await Promise.all([startPipes({ env: { REGISTRY: link.host, WAIT_PAGE_AFTER: '300ms' } }), openBrowser()]);
  });
  afterAll(async () => {
    await browser.close();
    await pipes.stop();
    await apps.images.removeAllFrom([link.host]);
    await link.close();
  });

  describe('a page whose image comes in slowly', () => {
    let app: App;
    let page: Page;
    let complaints: string[];
    let close: () => Promise<void>;

    beforeAll(async () => {
      app = await apps.publish('slow', { ballastBytes: 6_000_000 });
      link.bytesPerS = 600_000;
      ({ page, complaints, close } = await openPage());
    });
    afterAll(async () => {
      link.bytesPerS = Infinity;
      await close();
    });

    it('says so at once, with a status that no program takes for the app', async () => {
      const answer = await page.goto(url(app, '/?page=1#part'));
      expect([answer?.status(), answer?.headers()['cache-control']]).toEqual([503, 'no-store']);
      expect(Number(answer?.headers()['retry-after'])).toBeGreaterThan(0);
      await page.getByRole('heading', { name: app.reference }).waitFor();
    });

    it('shows how far it is, live', async () => {
      const bar = page.getByRole('progressbar', { name: 'Download' });
      await bar.waitFor();
      const value = async (): Promise<number> => Number((await bar.getAttribute('value')) ?? 0);
      const first = await until('some has come', async () => (await value()) || undefined);
      await until('more has come', async () => (await value()) > first);
      expect(await page.locator('#bytes').textContent()).toMatch(/^\d+(?:\.\d+)?(?: kB)? of 6\.0 MB$/);
      expect(await page.title()).toMatch(/^\d+% /);
      expect(await page.getByRole('list', { name: 'Layers' }).getByRole('listitem').count()).toBeGreaterThan(1);
      expect(await page.locator('[aria-current=step]').textContent()).toBe('Image');
    });

    it('can be read by screen readers, by keyboard, in dark, on a small screen, and without motion', async () => {
      expect(await page.getByRole('status').getAttribute('aria-live')).toBe('polite');
      expect(await page.getByRole('status').textContent()).toContain('Getting the image');
      await keepScreenshot(page, 'waiting-light');
      await page.keyboard.press('Tab');
      expect(await page.evaluate<string>("document.activeElement.getAttribute('aria-label')")).toBe('Layers');
      const motions = (): Promise<number> => page.evaluate<number>('document.getAnimations().length');
      expect(await motions()).toBeGreaterThan(0);
      await page.emulateMedia({ reducedMotion: 'reduce' });
      expect(await motions()).toBe(0);
      const paper = (): Promise<string> => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      await page.emulateMedia({ colorScheme: 'light' });
      const light = await paper();
      await page.emulateMedia({ colorScheme: 'dark' });
      expect(await paper()).not.toBe(light);
      await keepScreenshot(page, 'waiting-dark');
      await page.setViewportSize({ width: 320, height: 568 });
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
      await keepScreenshot(page, 'waiting-narrow');
    });

    it('becomes the app, at the same address', async () => {
      link.bytesPerS = Infinity;
      await becomesApp(page, app);
      expect(page.url()).toBe(url(app, '/?page=1#part'));
      expect(complaints).toEqual([]);
    });
  });

  describe('a page whose container dies while it starts', () => {
    it('shows why and when it is tried again, tries again by itself, and becomes the app once that is mended', async () => {
      const app = await apps.build('dies', { env: { PORT: 'none', EXIT_AFTER_MS: '900', EXIT_CODE: '3', PRINT_LINES: '5' } });
      const { page, complaints, close } = await openPage();
      expect((await page.goto(url(app)))?.status()).toBe(503);
      await until('it failed', async () => (await phaseOf(page)) === 'failed');
      expect(await page.getByRole('status').textContent()).toMatch(/exited while starting.*\b3\b/);
      expect(await page.locator('#countdown').textContent()).toMatch(/^(?:Next try in \d+ s|Trying again)$/);
      expect(await page.content()).not.toContain('line 5');
      const { State } = await containers.only(app.reference);
      await until('it is tried again', async () => (await containers.only(app.reference)).State.StartedAt !== State.StartedAt);
      await until('it failed again', async () => (await phaseOf(page).catch(() => null)) === 'failed');
      await keepScreenshot(page, 'failed-light');
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.setViewportSize({ width: 320, height: 568 });
      await keepScreenshot(page, 'failed-dark-narrow');
      expect((await manage(app, '/container/config', 'PUT', { env: { PORT: '80', EXIT_AFTER_MS: '3600000' } })).status).toBe(200);
      await becomesApp(page, app);
      expect(complaints).toEqual([]);
      await close();
    });

    it('also when it dies before there was time for the page', async () => {
      const app = await apps.build('dies-at-once', { env: { EXIT_BEFORE_LISTENING: '1', EXIT_CODE: '4' } });
      const { page, close } = await openPage();
      const answers: number[] = [];
      let loads = 0;
      page.on('response', (answer) => {
        if (answer.request().isNavigationRequest()) answers.push(answer.status());
      });
      page.on('load', () => (loads += 1));
      await page.goto(url(app));
      await until('it failed', async () => /exited while starting.*\b4\b/.test((await page.getByRole('status').textContent()) ?? ''));
      // Loaded, not only answered: a browser whose page is closed while the next one comes in may never say that it is.
      await until('it was tried again by itself', () => loads > 1);
      expect(answers.length).toBeGreaterThan(1);
      expect(answers.every((status) => status === 502 || status === 503)).toBe(true);
      await close();
    });
  });

  describe('a page that waits', () => {
    it('without script loads itself again until it is the app', async () => {
      const app = await apps.build('no-script', { env: { LISTEN_AFTER_MS: '4000' } });
      const { page, complaints, close } = await openPage({ javaScriptEnabled: false });
      expect((await page.goto(url(app)))?.status()).toBe(503);
      await page.getByRole('heading', { name: app.reference }).waitFor();
      await keepScreenshot(page, 'waiting-no-script');
      await becomesApp(page, app);
      expect(complaints).toEqual([]);
      await close();
    });

    it('says that pipes is gone, and becomes the app once it is back', async () => {
      const app = await apps.build('restart', { env: { LISTEN_AFTER_MS: '5000' } });
      const first = await startPipes({ env: { WAIT_PAGE_AFTER: '300ms' } });
      const { page, close } = await openPage();
      await page.goto(url(app, '/', first.port));
      expect(await phaseOf(page)).not.toBeNull();
      await first.kill();
      await page.getByText('Connection lost').waitFor();
      const second = await startPipes({ env: { REGISTRY: link.host, WAIT_PAGE_AFTER: '300ms' }, port: first.port, configDir: first.configDir });
      await becomesApp(page, app);
      await close();
      await second.stop();
    });

    it('of a target that is configured to hold is held', async () => {
      const app = await apps.build('hold', { env: { LISTEN_AFTER_MS: '1200' } });
      await manage(app, '/container/config', 'PUT', { wait: 'hold' });
      const { page, close } = await openPage();
      expect((await page.goto(url(app)))?.status()).toBe(200);
      await close();
    });
  });

  describe('whatever is no page load is held', () => {
    it.each<[string, string, Record<string, string>]>([
      ['a program', 'GET', { accept: '*/*' }],
      ['HEAD', 'HEAD', { accept: 'text/html' }],
      ['POST', 'POST', { accept: 'text/html' }],
    ])('%s', async (name, method, headers) => {
      const app = await apps.build(`held-${name.replaceAll(' ', '-').toLowerCase()}`, { env: { LISTEN_AFTER_MS: '1200' } });
      const answer = await visit(app, headers, method);
      expect([answer.status, answer.headers['content-type']?.startsWith('text/html') ?? false]).toEqual([200, false]);
    });

    it('fetch() from the app\'s own page', async () => {
      const app = await apps.build('held-fetch', { env: { LISTEN_AFTER_MS: '1200' } });
      await visit(app);
      const { page, close } = await openPage();
      await page.goto(url(app));
      await manage(app, '/container/stop', 'POST');
      const told = await page.evaluate(async () => {
        const answer = await fetch('/whoami', { headers: { accept: 'text/html' } });
        return { status: answer.status, text: await answer.text() };
      });
      expect(told.status).toBe(200);
      expect(told.text).toContain(app.reference);
      await close();
    });
  });
});
