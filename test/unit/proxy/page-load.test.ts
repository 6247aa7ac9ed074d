import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { isPageLoad } from '../../../src/proxy/page-load.ts';

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const load = (headers: Record<string, string>, method = 'GET'): boolean => isPageLoad({ method, headers } as unknown as IncomingMessage);

describe('a page load', () => {
  it.each([
    ['a browser that navigates', { accept: BROWSER, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }],
    ['a browser without Fetch Metadata', { accept: BROWSER }],
    ['a frame', { accept: BROWSER, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }],
  ])('is %s', (_what, headers) => expect(load(headers)).toBe(true));

  it.each([
    ['curl', { accept: '*/*' }, 'GET'],
    ['a client without Accept', {}, 'GET'],
    ['an API client', { accept: 'application/json' }, 'GET'],
    ['fetch() that takes HTML', { accept: 'text/html', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }, 'GET'],
    ['XMLHttpRequest', { accept: BROWSER, 'x-requested-with': 'XMLHttpRequest' }, 'GET'],
    ['an image', { accept: 'image/avif,image/webp,*/*;q=0.8', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 'GET'],
    ['a navigation that embeds', { accept: BROWSER, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'object' }, 'GET'],
    ['HEAD', { accept: BROWSER }, 'HEAD'],
    ['a form that is sent', { accept: BROWSER, 'sec-fetch-mode': 'navigate' }, 'POST'],
    ['an upgrade', { accept: BROWSER, upgrade: 'websocket' }, 'GET'],
  ])('is not %s', (_what, headers, method) => expect(load(headers as Record<string, string>, method)).toBe(false));
});
