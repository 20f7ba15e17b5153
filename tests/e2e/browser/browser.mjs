// A headless Chromium for the tests, with pages that collect what the browser reports.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { chromium } = createRequire(new URL('../../tools/', import.meta.url))('playwright-core');

export const url = process.env.SERVICE_URL;
if (!url) throw new Error('SERVICE_URL is not set: run tests/e2e/browser/run');

/** Starts the browser, with additional arguments if given. The caller has to `close()` it. */
export function launch(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', // Chromium's own sandbox does not start as root, which is CI's user
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...more,
    ],
  });
}

/**
 * Opens a page in a browser profile of its own: no cookies, nothing remembered.
 *
 * `page.complaints` fills with everything the browser complains of: errors and warnings in the
 * console (each breach of the Content-Security-Policy is one), exceptions, requests that came to
 * nothing. A 4xx, which Chromium reports as an error too, counts unless `expected` has its status.
 */
export async function openPage(browser, { expected = [], ...options } = {}) {
  const context = await browser.newContext({
    baseURL: url,
    viewport: { width: 1280, height: 1000 },
    ...options,
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    // Browsers request it by default where a page cannot name an icon, such as JSON.
    if (message.location().url === `${url}/favicon.ico`) return;
    const status = /the server responded with a status of (\d+)/.exec(message.text())?.[1];
    if (!expected.includes(Number(status))) page.complaints.push(`${message.location().url}: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('requestfailed', (request) => {
    const { errorText } = request.failure();
    // Aborted because the test went to the next page while the icon was still loading.
    if (errorText !== 'net::ERR_ABORTED') page.complaints.push(`${request.url()}: ${errorText}`);
  });
  return page;
}

/** The browser's session cookie, or undefined. */
export async function sessionCookie(page) {
  return (await page.context().cookies(url)).find(({ name }) => name === 'session');
}

/** Writes a screenshot of the page to target/screenshots. */
export function takePicture(page, name, options) {
  return page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), ...options });
}
