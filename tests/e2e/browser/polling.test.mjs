// A page that polls: its request is on the way with the former cookie while the user gets a new one.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';

import { launch, openPage, sessionCookie, url } from './browser.mjs';

const PASSWORD = 'a long walk by the river';

let browser, proxy;
/** Resolves when a request for `?held` has arrived, to a function that lets it go on to the service. */
let arrived, arrive;
const expectRequest = () => (arrived = new Promise((resolve) => (arrive = resolve)));

before(async () => {
  browser = await launch();
  proxy = createServer(async (incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    if (path.endsWith('?held')) await new Promise(arrive);
    const onward = request(new URL(path, url), { method, headers });
    onward.on('response', (answer) => answer.pipe(outgoing.writeHead(answer.statusCode, answer.rawHeaders)));
    incoming.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  await browser?.close();
  proxy?.close();
});

for (const { username, path, button, status } of [
  { username: 'polls', path: '/account/password', button: 'Change password', status: 403 },
  { username: 'polls-and-confirms', path: '/account/confirm', button: 'Confirm', status: 200 },
]) {
  test(`a page that polls stays signed in through ${path}, and its late request is answered ${status}`, async () => {
    const baseURL = `http://127.0.0.1:${proxy.address().port}`;
    const page = await openPage(browser, { baseURL, expected: [403], bypassCSP: true });
    await page.goto('/register');
    await page.getByLabel('User name', { exact: true }).fill(username);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.waitForURL('**/account');
    const former = await sessionCookie(page);

    expectRequest();
    const poll = page.evaluate(() => fetch('/private?held').then(({ status }) => status));
    const letGo = await arrived;
    const other = await page.context().newPage();
    await other.goto(path);
    await other.getByLabel('Current password', { exact: true }).fill(PASSWORD);
    if (status === 403) await other.getByLabel('New password', { exact: true }).fill(`${PASSWORD}!`);
    await other.getByRole('button', { name: button, exact: true }).click();
    await other.waitForURL('**/account');
    letGo();
    assert.equal(await poll, status);
    const present = await sessionCookie(page);
    assert.notEqual(present.value, former.value);
    assert.equal(await page.evaluate(() => fetch('/private').then(({ status }) => status)), 200);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}
