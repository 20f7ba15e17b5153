// Helpers to operate Swagger UI at /docs.
import assert from 'node:assert/strict';

import { openPage, sessionCookie, url } from './browser.mjs';

/** The screen sizes that it has to fit. */
export const SCREENS = {
  desk: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 375, height: 667 }, isMobile: true },
};

/** The operations of the served document: { method, path, id, guarded, tag }. */
export async function documentedOperations() {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, tags, security = document.security ?? [] }]) => ({
      method: method.toUpperCase(),
      path,
      id: operationId,
      guarded: security.length > 0,
      tag: tags[0],
    })),
  );
}

/** Opens /docs, or a deep link in it, and waits until the operations are shown. */
export async function openDocs(browser, { hash = '', route, ...options } = {}) {
  const page = await openPage(browser, options);
  if (route) await page.route('**/openapi.json', route);
  await page.goto(`/docs${hash}`);
  await page.locator('.opblock').nth((await documentedOperations()).length - 1).waitFor();
  return page;
}

/** The box of an operation. */
export function block(page, id) {
  return page.locator(`.opblock[id^="operations-"][id$="-${id}"]`);
}

/** Opens an operation's box if it is closed. */
export async function openBlock(page, id) {
  const box = block(page, id);
  if (!(await box.locator('.opblock-body').isVisible())) await box.locator('.opblock-summary-control').click();
  await box.locator('.responses-table').first().waitFor();
  return box;
}

/**
 * Presses Execute in an operation's box, with the given body; resolves to what Swagger UI shows.
 */
export async function tryItOut(page, id, body) {
  const box = await openBlock(page, id);
  if (body) await box.locator('textarea.body-param__text').fill(JSON.stringify(body));
  const clear = box.getByRole('button', { name: 'Clear' });
  if (await clear.isVisible()) await clear.click(); // removes an earlier response
  await box.getByRole('button', { name: 'Execute' }).click();
  const answer = box.locator('.live-responses-table .response').first();
  const status = Number.parseInt(await answer.locator('.response-col_status').innerText(), 10);
  const text = await answer.locator('.response-col_description').innerText();
  const curl = await box.locator('.curl').innerText();

  // The cookie stays invisible to scripts in the page.
  assert.equal(await page.evaluate(() => document.cookie), '', `document.cookie after ${id}`);
  const cookie = await sessionCookie(page);
  if (cookie) {
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, 'Lax');
    assert.equal(cookie.path, '/');
  }
  return { status, text, curl, cookie };
}

/** Waits until the bar at the top shows this text. */
export const barSays = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();

/** The width of the page, including what is only visible by scrolling sideways. */
export const widthOf = (page) => page.locator('html').evaluate((html) => html.scrollWidth);
