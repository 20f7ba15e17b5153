// Swagger UI fits its screen: on a phone and a desktop, in light and dark mode, with operations
// open.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, takePicture, url } from './browser.mjs';
import { SCREENS, block, documentedOperations, openBlock, openDocs, tryItOut, widthOf } from './docs.mjs';

/** Limit for the bar's height on a phone with 667 pixels. */
const MAX_BAR_HEIGHT = 56;
/** Limit for the height of an executed operation on a desktop; it was 3,150 and 4,700 before. */
const MAX_EXECUTED_HEIGHT = { readPrivate: 1500, login: 2700 };

let browser;
let operations;

before(async () => {
  browser = await launch();
  operations = await documentedOperations();
});
after(() => browser?.close());

for (const [screen, options] of Object.entries(SCREENS)) {
  test(`a deep link ends below the bar, on a ${screen}`, async () => {
    const tag = operations.find(({ id }) => id === 'readPrivate').tag;
    const page = await openDocs(browser, { ...options, hash: `#/${tag}/readPrivate` });
    await block(page, 'readPrivate').locator('.responses-table').first().waitFor();
    await page.waitForFunction(() => scrollY > 0);
    const bar = await page.getByRole('banner').boundingBox();
    const box = await block(page, 'readPrivate').boundingBox();
    assert.ok(bar.height <= MAX_BAR_HEIGHT, `the bar is ${bar.height} high`);
    assert.ok(box.y >= bar.y + bar.height, `the operation begins at ${box.y}, below ${bar.y + bar.height}`);
    assert.ok(box.y < 200, `the operation begins at ${box.y}`);
  });

  test(`no operation scrolls sideways when it is open, on a ${screen}`, async () => {
    const page = await openDocs(browser, options);
    for (const { id } of operations) {
      await openBlock(page, id);
      const folded = block(page, id).locator('.shared-refusals > summary');
      if (await folded.count()) await folded.click();
      assert.ok((await widthOf(page)) <= options.viewport.width, `${id} makes it ${await widthOf(page)} wide`);
      await block(page, id).locator('.opblock-summary-control').click();
    }
    await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
    await tryItOut(page, 'listSessions');
    assert.ok((await widthOf(page)) <= options.viewport.width, `executed it is ${await widthOf(page)} wide`);
    assert.deepEqual(page.complaints, []);
  });

  test(`the buttons to copy and to save lie over no text, on a ${screen}`, async () => {
    const page = await openDocs(browser, options);
    await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
    await tryItOut(page, 'readPrivate');
    const overlaps = await page.locator('.live-responses-table, .curl-command').evaluateAll((boxes) =>
      boxes.flatMap((box) => {
        const buttons = [...box.querySelectorAll('.copy-to-clipboard, .download-contents')];
        const texts = [...box.querySelectorAll('pre')].map((pre) => pre.getBoundingClientRect());
        return buttons.flatMap((button) => {
          const { left, right, top, bottom } = button.getBoundingClientRect();
          const isOver = (text) => left < text.right && right > text.left && top < text.bottom && bottom > text.top;
          return texts.filter(isOver).map(() => `${button.className} in ${box.className}`);
        });
      }),
    );
    assert.deepEqual(overlaps, []);
  });
}

test('every operation shows its code samples, one for each client', async () => {
  const page = await openDocs(browser);
  const { paths } = await (await fetch(`${url}/openapi.json`)).json();
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods))) {
    const box = await openBlock(page, operation.operationId);
    const samples = box.locator('.code-samples');
    assert.match(await samples.locator('summary').innerText(), /^Code samples: curl, TypeScript, Python$/);
    await samples.locator('summary').click();
    const shown = [];
    for (const sample of await samples.locator('figure').all())
      shown.push([await sample.locator('figcaption').innerText(), await sample.locator('code').innerText()]);
    assert.deepEqual(shown, operation['x-codeSamples'].map(({ label, source }) => [label, source]));
    assert.equal(shown.length, 3);
  }
  await (await openBlock(page, 'listSessions')).scrollIntoViewIfNeeded();
  await takePicture(page, 'docs-samples');
  assert.deepEqual(page.complaints, []);
});

test('refusals that operations share are folded, and have their examples', async () => {
  const page = await openDocs(browser);
  const box = await openBlock(page, 'readPrivate');
  const shared = box.locator('.shared-refusals');
  assert.match(await shared.locator('> summary').innerText(), /^Errors common to many operations: 400, 401, 403, /);
  assert.equal(await box.locator('tr.response:visible').count(), 1, 'what is its own: 200');
  await shared.locator('> summary').click();
  const refused = shared.locator('tr[data-code="403"]');
  assert.ok(await refused.getByText('session_refused').first().isVisible());
  await refused.locator('summary').click();
  assert.match(await refused.locator('pre').innerText(), /"code": "session_refused"/);
  assert.match(await refused.locator('.headers').innerText(), /Set-Cookie/);

  const login = await openBlock(page, 'login');
  const own = login.locator('.responses-wrapper tr[data-code="403"]');
  assert.match(await own.innerText(), /invalid_credentials/);
  assert.doesNotMatch(await own.innerText(), /cross_origin/, 'is among those that are shared');
  await own.locator('summary').click();
  assert.equal(await own.locator('pre').count(), 1);
});

test('every documented refusal of every operation is shown, each once', async () => {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  const page = await openDocs(browser);
  for (const { id, method, path } of operations) {
    const { responses } = document.paths[path][method.toLowerCase()];
    const codes = Object.values(responses).flatMap(({ content }) => Object.keys(content?.['application/problem+json']?.examples ?? {}));
    const box = await openBlock(page, id);
    const shown = (await box.locator('details:not(.code-samples) pre code').allTextContents()).map((text) => JSON.parse(text).code);
    assert.deepEqual(shown.toSorted(), codes.toSorted(), id);
    await box.locator('.opblock-summary-control').click();
  }
});

test('an executed operation is no longer than it needs to be', async () => {
  const page = await openDocs(browser);
  await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  await tryItOut(page, 'readPrivate');
  for (const [id, most] of Object.entries(MAX_EXECUTED_HEIGHT)) {
    const { height } = await block(page, id).boundingBox();
    assert.ok(height <= most, `${id} is ${height} high`);
  }
});

test('the documentation requests nothing from another origin', async () => {
  const page = await openDocs(browser);
  const strangers = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(`${url}/`) && !request.url().startsWith('data:')) strangers.push(request.url());
  });
  await page.reload(); // from now on every request is seen, including the page's own
  await block(page, 'login').waitFor();
  for (const { id } of operations) await openBlock(page, id);
  for (const control of await page.locator('.model-box-control:visible').all()) await control.click();
  await page.locator('.auth-wrapper > .authorize').click();
  await page.keyboard.press('Escape');
  await tryItOut(page, 'getReadiness');
  await page.waitForLoadState('networkidle');
  assert.deepEqual(strangers, []);
  assert.deepEqual(page.complaints, []);
});
