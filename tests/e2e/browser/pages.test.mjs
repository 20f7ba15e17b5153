// The pages in a browser without JavaScript: registering, signing out, signing in again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, openPage, sessionCookie, takePicture, url } from './browser.mjs';

const PASSWORD = 'a long walk by the river';

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

function openPlainPage(options) {
  return openPage(browser, { javaScriptEnabled: false, ...options });
}

/** Fills in the form on the page and presses its button; resolves to the final response. */
async function submit(page, { username, password, button, keepMeSignedIn = false }) {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(password);
  if (keepMeSignedIn) await page.getByLabel('Keep me signed in').check();
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().isNavigationRequest() && response.status() !== 303),
    page.getByRole('button', { name: button }).click(),
  ]);
  await page.waitForLoadState();
  return answer;
}

function signIn(page, username, password, options) {
  return submit(page, { username, password, button: 'Sign in', ...options });
}

function path(page) {
  const { pathname, search } = new URL(page.url());
  return pathname + search;
}

test('without javascript one makes an account, signs out and signs in again', async () => {
  const page = await openPlainPage({ expected: [403] });

  await page.goto('/register');
  await takePicture(page, 'register');
  const made = await submit(page, { username: 'paper-fan', password: PASSWORD, button: 'Create account' });
  assert.equal(made.status(), 200);
  assert.equal(path(page), '/account');
  assert.ok(await page.getByText('paper-fan').first().isVisible());
  assert.equal((await sessionCookie(page)).httpOnly, true);
  await takePicture(page, 'account');

  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.waitForLoadState();
  assert.equal(await sessionCookie(page), undefined);
  await page.goto('/account');
  assert.equal(await page.getByText('paper-fan').count(), 0);

  await page.goto('/login');
  await takePicture(page, 'login');
  const wrong = await signIn(page, 'paper-fan', 'a long walk by the sea');
  assert.equal(wrong.status(), 403);
  assert.equal((await page.getByRole('alert').innerText()).trim(), 'Invalid user or password');
  assert.equal(await page.getByLabel('User name').inputValue(), 'paper-fan');
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '');
  assert.equal(await sessionCookie(page), undefined);
  await takePicture(page, 'login-wrong-password');

  const right = await signIn(page, 'paper-fan', PASSWORD);
  assert.equal(right.status(), 200);
  assert.equal(path(page), '/account');
  assert.ok(await page.getByText('paper-fan').first().isVisible());

  assert.deepEqual(page.complaints, []);
});

test('one comes back to where one wanted to go', async () => {
  const page = await openPlainPage({ expected: [403] });
  await page.goto('/login?next=/private');
  await signIn(page, 'dmontagu', 'wrong'); // after a wrong password, the target is still known
  await signIn(page, 'dmontagu', 'secret1');
  assert.equal(path(page), '/private');
  assert.match(await page.locator('body').innerText(), /"username":\s*"dmontagu"/);
  assert.deepEqual(page.complaints, []);
});

test('nobody is sent to another site after signing in', async () => {
  for (const next of ['https://example.org/', '//example.org/', '/\\example.org', 'example.org']) {
    const page = await openPlainPage();
    await page.goto(`/login?next=${encodeURIComponent(next)}`);
    await signIn(page, 'dmontagu', 'secret1');
    assert.equal(page.url(), `${url}/account`, next);
    await page.context().close();
  }
});

test('the session ends with the browser unless one asks to stay signed in', async () => {
  const BROWSER_SESSION = -1;
  const page = await openPlainPage();

  await page.goto('/login');
  await signIn(page, 'tiangolo', 'secret2');
  assert.equal((await sessionCookie(page)).expires, BROWSER_SESSION);

  await page.context().clearCookies();
  await page.goto('/login');
  await signIn(page, 'tiangolo', 'secret2', { keepMeSignedIn: true });
  const days = ((await sessionCookie(page)).expires - Date.now() / 1000) / 86_400;
  assert.ok(days > 1 && days <= 30, `${days} days`);
  assert.deepEqual(page.complaints, []);
});

test('a taken user name shows the form again', async () => {
  const page = await openPlainPage({ expected: [409] });
  await page.goto('/register');
  const taken = await submit(page, { username: 'tiangolo', password: PASSWORD, button: 'Create account' });
  assert.equal(taken.status(), 409);
  assert.ok(await page.getByRole('alert').isVisible());
  assert.equal(await page.getByLabel('User name').inputValue(), 'tiangolo');
  assert.equal(await sessionCookie(page), undefined);
  assert.deepEqual(page.complaints, []);
});

test('a password that is too short shows the form again and says so', async () => {
  const page = await openPlainPage({ expected: [400, 422] });
  await page.goto('/register');
  // As a browser without support for minlength would send it.
  await page.locator('form').evaluateAll((forms) => forms.forEach((form) => (form.noValidate = true)));
  const refused = await submit(page, { username: 'hasty', password: 'short', button: 'Create account' });
  assert.ok([400, 422].includes(refused.status()), `${refused.status()}`);
  assert.ok(await page.getByRole('alert').isVisible());
  assert.equal(await page.getByLabel('User name').inputValue(), 'hasty');
  assert.deepEqual(page.complaints, []);
});
