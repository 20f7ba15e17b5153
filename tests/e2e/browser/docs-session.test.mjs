// Swagger UI's padlocks and its Authorize dialog show the state of the session.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { complaintsOfAxe } from './accessible.mjs';
import { launch, sessionCookie, takePicture } from './browser.mjs';
import { barSays, block, documentedOperations, openBlock, openDocs, tryItOut } from './docs.mjs';

let browser;
let operations;

before(async () => {
  browser = await launch();
  operations = await documentedOperations();
});
after(() => browser?.close());

/** Which padlocks are closed: all of them, none, or some. */
async function closedPadlocks(page) {
  const closed = await page.locator('.authorization__btn .locked').count();
  const all = await page.locator('.authorization__btn').count();
  return closed === all ? 'all' : closed || 'none';
}

/** The button above the operations, with the same label as the dialog. */
const authorizeButton = (page) => page.locator('.auth-wrapper > .authorize');
const dialogOf = (page) => page.getByRole('dialog');

/** Signs in with the open dialog, by keyboard only. */
async function typeCredentials(page, username, password) {
  await page.keyboard.type(username);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
}

test('guarded operations have a padlock, and no others', async () => {
  const page = await openDocs(browser);
  for (const { id, guarded } of operations) {
    const padlocks = await block(page, id).locator('.authorization__btn').count();
    assert.equal(padlocks, guarded ? 1 : 0, id);
  }
  assert.ok(operations.some(({ guarded }) => guarded));
});

test('the authorize dialog has the sign-in form and a field for an API token, and none for a cookie', async () => {
  const page = await openDocs(browser, { expected: [403] });
  await authorizeButton(page).press('Enter');
  const dialog = dialogOf(page);
  assert.equal(await dialog.getByRole('heading', { level: 2 }).innerText(), 'Authorize');
  assert.equal(await authorizeButton(page).innerText(), 'Authorize', 'the button is called as the dialog');
  const fields = await dialog.locator('input').evaluateAll((inputs) => inputs.map(({ id }) => id));
  assert.deepEqual(fields, ['username', 'password', 'auth-bearer-value']);
  assert.match(await dialog.locator('.auth-container').innerText(), /^apiToken[^]*An API token/);
  await takePicture(page, 'docs-authorize');

  await typeCredentials(page, 'dmontagu', 'wrong');
  await dialog.getByRole('alert').filter({ hasText: 'Invalid user or password' }).waitFor();
  assert.equal(await closedPadlocks(page), 'none', 'what was typed closes no padlock');
  await page.keyboard.type('secret1'); // the password is selected: typing replaces it
  await page.keyboard.press('Enter');
  await barSays(page, 'Signed in as dmontagu.');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await closedPadlocks(page), 'all');
  assert.ok(await sessionCookie(page));
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Authorize', 'the focus returns');

  await authorizeButton(page).press('Enter');
  await dialog.getByText('You are signed in as dmontagu.').waitFor();
  assert.equal(await dialog.locator('input').count(), 1, 'the one of the token');
  await takePicture(page, 'docs-authorized');
  await dialog.getByRole('button', { name: 'Sign out' }).press('Enter');
  await barSays(page, 'Not signed in.');
  assert.equal(await closedPadlocks(page), 'none');
  assert.equal(await sessionCookie(page), undefined);
  assert.deepEqual(page.complaints, []);
});

const signInByDialog = async (page) => {
  await authorizeButton(page).press('Enter');
  await dialogOf(page).waitFor();
  await typeCredentials(page, 'dmontagu', 'secret1');
};
const dialogSays = (page, text) => dialogOf(page).getByRole('alert').filter({ hasText: text }).waitFor();

test('the dialog tells a browser that blocks cookies, and begins no session', async () => {
  const page = await openDocs(browser);
  const devTools = await page.context().newCDPSession(page);
  await devTools.send('Emulation.setDocumentCookieDisabled', { disabled: true });
  let posts = 0;
  page.on('request', (request) => (posts += request.method() === 'POST'));
  await signInByDialog(page);
  await dialogSays(page, 'This browser kept no cookie, so you are not signed in: allow cookies for this site.');
  assert.equal(posts, 0);
  assert.deepEqual(page.complaints, []);
});

test('a try it out that would sign in is not sent by a browser that blocks cookies', async () => {
  const page = await openDocs(browser);
  const devTools = await page.context().newCDPSession(page);
  await devTools.send('Emulation.setDocumentCookieDisabled', { disabled: true });
  let posts = 0;
  page.on('request', (request) => (posts += request.method() === 'POST'));
  for (const id of ['login', 'register']) {
    const box = await openBlock(page, id);
    await box.getByRole('button', { name: 'Execute' }).click();
    await box.getByText('Not sent: This browser keeps no cookies').waitFor();
    assert.match(await box.locator('.curl').innerText(), /^curl -c 'cookies.txt'/, 'curl keeps them');
  }
  assert.equal(posts, 0, 'no session begins that nothing could end');
  await barSays(page, 'Not signed in.');
  assert.deepEqual(page.complaints, []);
});

test('the bar says that a try it out began a session whose cookie was not kept', async () => {
  const page = await openDocs(browser, { expected: [401] });
  await page.route('**/login', async (route) => {
    const response = await route.fetch();
    const headers = response.headers();
    delete headers['set-cookie'];
    await page.context().clearCookies();
    await route.fulfill({ response, headers });
  });
  await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  await page.getByRole('banner').getByRole('alert').filter({ hasText: 'This browser kept no cookie' }).waitFor();
  await barSays(page, 'Not signed in.');
  assert.deepEqual(page.complaints, []);
});

test('the dialog tells that the session cookie was not kept, and stays open', async () => {
  const page = await openDocs(browser, { expected: [401] });
  await page.route('**/login', async (route) => {
    const response = await route.fetch();
    const headers = response.headers();
    delete headers['set-cookie'];
    await page.context().clearCookies();
    await route.fulfill({ response, headers });
  });
  await signInByDialog(page);
  await dialogSays(page, 'This browser kept no cookie');
  await barSays(page, 'Not signed in.');
  assert.deepEqual(page.complaints, []);
});

test('the dialog tells of two session cookies, and ends the session that it began', async () => {
  const page = await openDocs(browser, { expected: [403] });
  await page.context().addCookies([{ name: 'session', value: 'another', domain: '127.0.0.1', path: '/me' }]);
  const begun = page.waitForResponse((response) => response.url().endsWith('/login'));
  await signInByDialog(page);
  await dialogSays(page, 'two different cookies named session');
  await barSays(page, 'Not signed in.');
  const [cookie] = (await (await begun).headerValue('set-cookie')).split(';');
  const answer = await fetch(new URL('/private', page.url()), { headers: { cookie } });
  assert.equal(answer.status, 403, 'the session has ended');
  assert.deepEqual(page.complaints, []);
});

test('the focus is on what does no harm, and is seen in the dark', async () => {
  const page = await openDocs(browser, { colorScheme: 'dark' });
  const outline = () => page.evaluate(() => getComputedStyle(document.activeElement).outline);
  await authorizeButton(page).press('Enter');
  await dialogOf(page).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'username');
  assert.match(await outline(), /solid 3px/);
  await takePicture(page, 'docs-authorize-dark');
  await typeCredentials(page, 'dmontagu', 'secret1');
  await barSays(page, 'Signed in as dmontagu.');
  await dialogOf(page).waitFor({ state: 'detached' });
  await authorizeButton(page).press('Enter');
  await dialogOf(page).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Close');
  assert.match(await outline(), /solid 3px/);
  await page.keyboard.press('Enter');
  await dialogOf(page).waitFor({ state: 'detached' });
  await barSays(page, 'Signed in as dmontagu.');
  assert.ok(await sessionCookie(page));
  assert.deepEqual(page.complaints, []);
});

test("an operation's padlock opens the same dialog, and Escape closes it", async () => {
  const page = await openDocs(browser);
  const padlock = block(page, 'readPrivate').getByRole('button', { name: 'Needs authorization: sign in' });
  await padlock.press('Enter');
  await dialogOf(page).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'username');
  await page.keyboard.press('Escape');
  await dialogOf(page).waitFor({ state: 'detached' });
  assert.equal(await padlock.evaluate((button) => button === document.activeElement), true);
  assert.equal(await block(page, 'readPrivate').locator('.opblock-body').count(), 0, 'the operation stays closed');
  assert.deepEqual(page.complaints, []);
});

test('the bar signs in and out, by keyboard, and says who is signed in', async () => {
  const page = await openDocs(browser);
  await takePicture(page, 'docs-signed-out');
  await page.getByRole('form', { name: 'Sign in' }).getByRole('button').press('Enter');
  await typeCredentials(page, 'dmontagu', 'secret1');
  await barSays(page, 'Signed in as dmontagu.');
  await dialogOf(page).waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Sign out');

  const read = await tryItOut(page, 'readPrivate');
  assert.match(read.text, /"username": "dmontagu"/);
  await page.evaluate(() => scrollTo(0, 0));
  await takePicture(page, 'docs-signed-in');
  await page.reload();
  await barSays(page, 'Signed in as dmontagu.');
  await block(page, 'readPrivate').waitFor();
  assert.equal(await closedPadlocks(page), 'all');

  await page.getByRole('form', { name: 'Sign out' }).getByRole('button').press('Enter');
  await barSays(page, 'Not signed in.');
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Sign in');
  assert.equal(await sessionCookie(page), undefined);
  assert.deepEqual(page.complaints, []);
});

test('a try it out that signs in and out closes and opens the padlocks', async () => {
  const page = await openDocs(browser);
  assert.equal(await closedPadlocks(page), 'none');
  await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  await barSays(page, 'Signed in as tiangolo.');
  assert.equal(await closedPadlocks(page), 'all');
  await tryItOut(page, 'logout');
  await barSays(page, 'Not signed in.');
  assert.equal(await closedPadlocks(page), 'none');
});

test('copied curl lines keep and send the cookie as the browser does', async () => {
  const page = await openDocs(browser);
  const login = await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  assert.match(login.curl, /^curl -c 'cookies.txt' -X 'POST'/);
  const read = await tryItOut(page, 'readPrivate');
  assert.match(read.curl, /^curl -b 'cookies.txt' -X 'GET'/);
  const health = await tryItOut(page, 'getLiveness');
  assert.match(health.curl, /^curl -X 'GET'/);
  const logout = await tryItOut(page, 'logout');
  assert.match(logout.curl, /^curl -b 'cookies.txt' -c 'cookies.txt' -X 'POST'/);
  for (const { curl } of [login, read, health, logout]) assert.doesNotMatch(curl, /Cookie:/i);
});

/** Fills in the field of a security scheme in the open dialog. */
async function authorize(page, scheme, value) {
  const box = dialogOf(page).locator('.auth-container', { has: page.getByText(scheme, { exact: true }) });
  await box.locator('input').fill(value);
  await box.getByRole('button', { name: 'Authorize' }).click();
  await box.getByRole('button', { name: 'Close' }).click();
  await dialogOf(page).waitFor({ state: 'detached' });
}

/** Signs in as another user without this browser, and creates an API token. */
async function createToken(page) {
  const post = (path, body, headers = {}) => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
    return fetch(new URL(path, page.url()), { ...options, body: JSON.stringify(body) });
  };
  const entry = await post('/login', { username: 'tiangolo', password: 'secret2' });
  const cookie = entry.headers.getSetCookie().find((set) => set.startsWith('session=')).split(';')[0];
  const created = await post('/api-tokens', { name: 'Swagger UI' }, { cookie });
  assert.equal(created.status, 201);
  const { id, token } = await created.json();
  const revoke = () => fetch(new URL(`/api-tokens/${id}`, page.url()), { method: 'DELETE', headers: { cookie } });
  return { token, revoke };
}

test('an API token in the dialog is sent by the operations that take one, and then it decides', async () => {
  const page = await openDocs(browser, { expected: [401] });
  const { token, revoke } = await createToken(page);
  const takeTokens = await page.evaluate(async () => {
    const { paths } = await (await fetch('openapi.json')).json();
    const all = Object.values(paths).flatMap((methods) => Object.values(methods));
    return all.filter(({ security }) => security?.some((one) => 'apiToken' in one)).map(({ operationId }) => operationId);
  });
  assert.ok(takeTokens.includes('readPrivate') && takeTokens.length >= 4, String(takeTokens));

  await authorizeButton(page).click();
  await authorize(page, 'apiToken', token);
  assert.equal(await closedPadlocks(page), takeTokens.length, 'of the operations that take a token');
  const byToken = await tryItOut(page, 'readPrivate');
  assert.equal(byToken.status, 200);
  assert.match(byToken.text, /"username": "tiangolo"/);
  assert.ok(byToken.curl.includes(`Authorization: Bearer ${token}`));
  await barSays(page, 'Not signed in.');

  // With a session of another user, too. An operation that takes sessions only gets the cookie.
  await tryItOut(page, 'login', { username: 'dmontagu', password: 'secret1' });
  await barSays(page, 'Signed in as dmontagu.');
  assert.equal(await closedPadlocks(page), 'all');
  assert.match((await tryItOut(page, 'getMe')).text, /"username": "tiangolo"/);
  assert.equal((await tryItOut(page, 'getSession')).status, 200);
  assert.equal((await revoke()).status, 204);
  const refused = await tryItOut(page, 'readPrivate');
  assert.equal(refused.status, 401);
  assert.match(refused.text, /token_refused/);
  await barSays(page, 'Signed in as dmontagu.');

  await authorizeButton(page).click();
  await dialogOf(page).locator('.auth-container').getByRole('button', { name: 'Logout' }).click();
  await page.keyboard.press('Escape');
  assert.match((await tryItOut(page, 'readPrivate')).text, /"username": "dmontagu"/);
  assert.deepEqual(page.complaints, []);
});

test('a security scheme of an embedding service stays beside the session', async () => {
  const route = async (route) => {
    const response = await route.fetch();
    const document = await response.json();
    document.components.securitySchemes.token = { type: 'http', scheme: 'bearer', description: 'Of another service.' };
    document.paths['/private'].get.security.push({ token: [] });
    await route.fulfill({ response, json: document });
  };
  const page = await openDocs(browser, { route, expected: [401] });
  await authorizeButton(page).click();
  const dialog = dialogOf(page);
  assert.ok(await dialog.getByLabel('User name').isVisible());
  assert.equal(await authorizeButton(page).innerText(), 'Authorize');
  assert.equal(await dialog.getByRole('heading', { level: 2 }).innerText(), 'Authorize');
  await dialog.getByText('Of another service.').waitFor();
  await authorize(page, 'token', 'not-a-token');
  assert.equal(await closedPadlocks(page), 1, 'of the one operation that takes the token');
  const read = await tryItOut(page, 'readPrivate');
  assert.match(read.curl, /Authorization: Bearer not-a-token/);
  assert.deepEqual(page.complaints, []);
});

for (const colorScheme of ['light', 'dark'])
  test(`axe finds nothing in the dialog, signed in and out, ${colorScheme}`, async () => {
    const page = await openDocs(browser, { bypassCSP: true, colorScheme });
    await authorizeButton(page).click();
    await dialogOf(page).waitFor();
    assert.deepEqual(await complaintsOfAxe(page), []);
    await typeCredentials(page, 'dmontagu', 'secret1');
    await barSays(page, 'Signed in as dmontagu.');
    await dialogOf(page).waitFor({ state: 'detached' });
    await authorizeButton(page).click();
    await dialogOf(page).waitFor();
    assert.deepEqual(await complaintsOfAxe(page), []);
  });
