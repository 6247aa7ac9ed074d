import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';

/** Debian's package; it has no other place. */
const CHROMIUM = '/usr/bin/chromium';

/** Why no browser can be started here; undefined when one can. */
export function browserObstacle(): string | undefined {
  return existsSync(CHROMIUM) ? undefined : `there is no ${CHROMIUM} (Debian: chromium)`;
}

/** A real browser without a window. It resolves every `*.localhost` to this machine, as people's browsers do. */
export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM,
    // As root in a container there is no sandbox to be had.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** Keeps what a page looks like under test-output/screenshots/, for people to look at. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  const path = join(fileURLToPath(new URL('../../', import.meta.url)), 'test-output/screenshots', `${name}.png`);
  mkdirSync(dirname(path), { recursive: true });
  await page.screenshot({ path, fullPage: true });
}
