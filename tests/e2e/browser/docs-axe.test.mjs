// axe-core finds no problem in Swagger UI with everything in it open, on a phone and a desktop, in light and dark mode.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { complaintsOfAxe } from './accessible.mjs';
import { launch, takePicture } from './browser.mjs';
import { SCREENS, documentedOperations, openBlock, openDocs, tryItOut, widthOf } from './docs.mjs';

let browser;
let operations;

before(async () => {
  browser = await launch();
  operations = await documentedOperations();
});
after(() => browser?.close());

for (const [screen, options] of Object.entries(SCREENS))
  for (const colorScheme of ['light', 'dark'])
    test(`axe finds nothing in the documentation, on a ${screen}, ${colorScheme}`, async () => {
      const page = await openDocs(browser, { ...options, colorScheme, bypassCSP: true });
      const background = await page.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor);
      assert.equal(Number(background.match(/\d+/)[0]) < 128, colorScheme === 'dark', background);
      const title = await page.locator('.swagger-ui h1').evaluate((title) => getComputedStyle(title).color);
      assert.equal(Number(title.match(/\d+/)[0]) > 128, colorScheme === 'dark', title);
      assert.deepEqual(await complaintsOfAxe(page), []);
      await takePicture(page, `docs-${screen}-${colorScheme}`);
      await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
      await tryItOut(page, 'listSessions');
      await takePicture(page, `docs-executed-${screen}-${colorScheme}`, { fullPage: true });
      for (const { id } of operations) await openBlock(page, id);
      for (const summary of await page.locator('details > summary').all()) await summary.click();
      assert.ok((await widthOf(page)) <= options.viewport.width, `with everything open it is ${await widthOf(page)} wide`);
      await page.evaluate(() => scrollTo(0, 0)); // otherwise the bar covers what axe checks
      assert.deepEqual(await complaintsOfAxe(page), []);
      assert.deepEqual(page.complaints, []);
    });
