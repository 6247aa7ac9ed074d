import type { IncomingMessage } from 'node:http';
import { errorForm } from './accept.ts';

/**
 * Whether a person's browser is loading a page, and can be shown one that waits: a GET that prefers HTML, and by Fetch Metadata
 * (https://www.w3.org/TR/fetch-metadata/), where the client sends it, a navigation. Everything else is a program, which wants
 * the app's answer or a typed error, never a page that looks like an answer.
 */
export function isPageLoad({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' || headers['x-requested-with'] !== undefined || headers.upgrade !== undefined) return false;
  const mode = headers['sec-fetch-mode'];
  const destination = headers['sec-fetch-dest'];
  if (mode !== undefined && mode !== 'navigate') return false;
  if (destination !== undefined && !(typeof destination === 'string' && SHOWS_PAGES.has(destination))) return false;
  return errorForm(headers.accept) === 'html';
}

const SHOWS_PAGES: ReadonlySet<string> = new Set(['document', 'iframe', 'frame']);
