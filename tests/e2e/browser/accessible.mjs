// Checks a page with axe-core.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const axe = readFileSync(new URL('../../tools/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

/**
 * Everything that axe-core reports, by rule and element; the page must have its JavaScript, and must
 * have been opened with `bypassCSP`, since the policy of the pages lets no such script in.
 */
export async function complaintsOfAxe(page) {
  await page.evaluate(axe);
  const { violations, incomplete, passes } = await page.evaluate(() => globalThis.axe.run(document));
  assert.ok(passes.length > 10, 'axe-core has looked at the page');
  return [...violations, ...incomplete].flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
}
