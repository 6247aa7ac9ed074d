import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { Apps, type App } from '../lab/apps.ts';
import { browserObstacle, openBrowser } from '../lab/browser.ts';
import { request } from '../lab/http-client.ts';
import { startPipes, type PipesProcess } from '../lab/pipes-process.ts';

/**
 * Pages that strangers wrote, in a real browser, against the API of somebody's app: on another site, in an app of another user, in
 * another app of the same user. With `API_AUTH=none`, where nothing but the origin of a request stands in their way.
 */
describe.skipIf(browserObstacle() !== undefined)('a page that is not the app\'s own', () => {
  const apps = new Apps('victim');
  const others = new Apps('evil');
  let victim: App;
  let pipes: PipesProcess;
  let browser: Browser;
  let elsewhere: Server;
  /** Where each kind of page comes from. */
  let origins: Record<string, string>;
  const stop = '/__proxyapi/container/stop';
  const address = (app: App, path = '/'): string => `http://${app.host}:${pipes.port}${path}`;
  const state = async (): Promise<unknown> => (await request(pipes.port, { host: victim.host, path: '/__proxyapi/container' })).json()['state'];

  beforeAll(async () => {
    const tiny = { from: 'tiny' } as const;
    const [own, foreign, sibling] = await Promise.all([apps.build('web', tiny), others.build('web', tiny), apps.build('sibling', tiny)]);
    victim = own;
    [pipes, browser] = await Promise.all([startPipes({ env: { API_AUTH: 'none', API_TOKEN: undefined } }), openBrowser()]);
    elsewhere = createServer((incoming, response) => {
      // The address in the query is where it sends its visitors.
      const to = new URL(incoming.url ?? '/', 'http://x').searchParams.get('to');
      if (to === null) response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>elsewhere</p>');
      else response.writeHead(302, { Location: to }).end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    origins = { 'of another site': `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`, 'of another user\'s app': address(foreign), 'of another app of the same user': address(sibling) };
    for (const app of [victim, foreign, sibling]) expect((await request(pipes.port, { host: app.host })).status).toBe(200);
  });
  afterAll(async () => {
    await browser.close();
    await pipes.stop();
    await new Promise((resolve) => elsewhere.close(resolve));
  });

  /** A fresh page at that origin, for as long as the work takes. */
  async function on<T>(origin: string, work: (page: Page) => Promise<T>): Promise<T> {
    const page = await browser.newPage();
    try {
      await page.goto(origin);
      return await work(page);
    } finally {
      await page.close();
    }
  }

  const kinds = ['of another site', 'of another user\'s app', 'of another app of the same user'];

  it.each(kinds)('(%s) can neither read the API nor do anything by it', async (kind) => {
    const api = JSON.stringify(address(victim, '/__proxyapi/container'));
    const script = `(async () => {
      const tell = (asked) => asked.then((answer) => answer.type, () => 'refused');
      const image = new Image();
      const shown = new Promise((resolve) => { image.onload = () => resolve('shown'); image.onerror = () => resolve('not shown'); });
      image.src = ${api} + '/stop?image';
      return {
        read: await tell(fetch(${api})),
        readWithCookies: await tell(fetch(${api}, { credentials: 'include' })),
        config: await tell(fetch(${api} + '/config', { method: 'PUT', body: '{"env":{"A":"1"}}' })),
        remove: await tell(fetch(${api}, { method: 'DELETE' })),
        withToken: await tell(fetch(${api}, { headers: { Authorization: 'Bearer pipes_guess' } })),
        stop: await tell(fetch(${api} + '/stop', { method: 'POST', mode: 'no-cors', credentials: 'include' })),
        getStop: await tell(fetch(${api} + '/stop', { mode: 'no-cors' })),
        image: await shown,
      };
    })()`;
    // An opaque answer may be read by nobody; that nothing was done is seen below.
    const expected = { read: 'refused', readWithCookies: 'refused', config: 'refused', remove: 'refused', withToken: 'refused', stop: 'opaque', getStop: 'opaque', image: 'not shown' };
    expect(await on(origins[kind]!, (page) => page.evaluate(script))).toEqual(expected);
    expect((await request(pipes.port, { host: victim.host, path: '/__proxyapi/container' })).json()).toMatchObject({ state: 'running', config: {} });
  });

  const to = (): string => JSON.stringify(address(victim, stop));
  it.each(kinds.flatMap((kind) => [
    [kind, 'a link', () => `{ const a = document.createElement('a'); a.href = ${to()}; document.body.append(a); a.click(); }`] as const,
    [kind, 'a form', () => `{ const form = document.createElement('form'); form.method = 'post'; form.action = ${to()}; document.body.append(form); form.submit(); }`] as const,
    [kind, 'a frame', () => `{ const frame = document.createElement('iframe'); frame.src = ${to()}; document.body.append(frame); }`] as const,
    [kind, 'a redirect of another site', () => `location.href = ${JSON.stringify(`${origins['of another site']!}?to=`)} + encodeURIComponent(${to()})`] as const,
  ]))('(%s) leads its visitors to a plain 404 by %s', async (kind, _way, script) => {
    const status = await on(origins[kind]!, async (page) => {
      const answered = page.waitForResponse((response) => response.url() === address(victim, stop));
      await page.evaluate(script());
      return (await answered).status();
    });
    expect(status).toBe(404);
    expect(await state()).toBe('running');
  });

  it('is what all this hangs on: the app\'s own page may, where everybody is an administrator', async () => {
    expect(await on(address(victim), (page) => page.evaluate(`fetch(${JSON.stringify(stop)}, { method: 'POST' }).then((answer) => answer.status)`))).toBe(200);
    expect(await state()).toBe('stopped');
  });
});
