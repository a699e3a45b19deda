// Headless Chromium without JavaScript, a person's window of it, and pictures of what is in there. What is done with it stands in
// browser.test.mjs and ../nodes/browser.test.mjs.
import assert from 'node:assert/strict';
import path from 'node:path';

import { chromium } from 'playwright-core';

/** For a page, or a browser that is to come back: far more than it takes. */
export const PATIENCE = 20_000;

export function launchChromium() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  });
}

/** A person's browser: no cookies, a window of ordinary size. What goes wrong in its own eyes is added to `complaints`. */
export async function person(browser, complaints) {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1024, height: 768 }, deviceScaleFactor: 1 });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on('console', (message) => complaints.push(`${page.url()}: ${message.text()}`));
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== 'data:' && !['localhost', '127.0.0.1'].includes(hostname)) complaints.push(`asked ${request.url()}`);
  });
  return { context, page };
}

/** The page as it is now, in every look, and the few things every page must have. */
export async function take(page, pictures, name) {
  assert.equal(await page.locator('html').getAttribute('lang'), 'en', `${name}: html lang`);
  assert.equal(await page.locator('h1').count(), 1, `${name}: one h1`);
  assert.ok((await page.title()).length > 0, `${name}: title`);
  assert.equal(await page.locator('script').count(), 0, `${name}: no script`);
  assert.equal(await page.locator('[style]').count(), 0, `${name}: no inline style`);
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: path.join(pictures, `${name}-${scheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 375, height: 740 });
  await page.screenshot({ path: path.join(pictures, `${name}-375.png`), fullPage: true });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 375, `${name}: ${width} pixels wide on a screen of 375`);
  await page.setViewportSize({ width: 1024, height: 768 });
}
