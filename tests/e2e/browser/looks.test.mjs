// Every page, on a phone and a desktop, in light and dark mode, with and without JavaScript: it
// fits its screen, the browser reports no errors, and axe-core finds no problem. The screenshots
// are for visual review.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { complaintsOfAxe } from './accessible.mjs';
import { launch, openPage, takePicture } from './browser.mjs';

const PASSWORD = 'a long walk by the river';
const OTHER_PASSWORD = 'a long walk by the sea';
const SIGN_IN_NAME = 'User name or e-mail address'; // the label of the page for signing in
const PEOPLE = ['ann', 'bea', 'carl', 'dora', 'emil', 'fay', 'gus', 'hana']; // one user for each run
const SCREENS = { desk: { width: 1280, height: 900 }, phone: { width: 375, height: 812 } };

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const fill = (page, label, text) => page.getByLabel(label, { exact: true }).fill(text);
const press = (page, name) => Promise.all([page.waitForNavigation(), page.getByRole('button', { name, exact: true }).click()]);

/** Signs in a second time from another browser, so that there is a session to end. */
async function signInElsewhere(page, username, userAgent) {
  const headers = { 'user-agent': userAgent, cookie: '' };
  const answer = await page.context().browser().newContext().then(async (context) => {
    const url = new URL('/login', page.url()).href;
    const answer = await context.request.post(url, { data: { username, password: PASSWORD }, headers });
    await context.close();
    return answer;
  });
  assert.equal(answer.status(), 200);
}

test('att 18 09: 41 sessions fit a page that is not a wall, and are paged by keyboard without JavaScript', async () => {
  const page = await openPage(browser, { javaScriptEnabled: false, viewport: SCREENS.phone, isMobile: true });
  await page.goto('/register');
  await fill(page, 'User name', 'many');
  await fill(page, 'Password', PASSWORD);
  await press(page, 'Create account');
  for (let n = 0; n < 40; n++) await signInElsewhere(page, 'many', `Mozilla/5.0 (X11; Linux x86_64; rv:${100 + n}.0) Gecko/20100101 Firefox/${100 + n}.0`);
  await page.goto('/account');
  const height = await page.locator('html').evaluate((html) => html.scrollHeight);
  assert.ok(height < 2500, `${height} px`); // it was 4,569 px, on a wide screen
  await takePicture(page, 'account-many-phone', { fullPage: true });
  assert.match(await page.locator('.sessions li').first().innerText(), /This session/);
  const next = page.getByRole('link', { name: 'Next' });
  await next.focus();
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  assert.ok(await page.getByText('Page 2 of 4 · 40 other sessions').isVisible());
  await page.getByRole('button', { name: 'Sign out everywhere else' }).press('Enter');
  await page.getByText('You are signed out everywhere else.').waitFor();
  assert.equal(await page.locator('.sessions li').count(), 1);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

/** Goes through the forms that ask for the password, because the session is no longer confirmed. */
async function walkUnconfirmed(page, username, look) {
  const phone = 'Safari on iPhone, 127.0.0.1';
  await page.goto('/register');
  await fill(page, 'User name', username);
  await fill(page, 'Password', PASSWORD);
  await press(page, 'Create account');
  await signInElsewhere(page, username, 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1');
  await signInElsewhere(page, username, 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0');
  await page.goto('/account/close');
  await look('close');
  await fill(page, 'Current password', 'wrong');
  await press(page, 'Close account');
  await look('close-refused');
  await page.goto('/account/tokens');
  await fill(page, 'Name', 'Nightly build');
  await fill(page, 'Current password', 'wrong');
  await press(page, 'Create token');
  await look('tokens-unconfirmed-refused');
  assert.equal(await page.locator(':focus').getAttribute('id'), 'current_password', 'one goes on where it is wrong');
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Nightly build');
  await page.goto('/account/confirm?next=/account');
  await look('confirm');
  await page.goto('/account');
  await look('account-unconfirmed');
  await page.locator('summary', { hasText: phone }).press('Enter');
  await look('account-unconfirmed-open');
  await fill(page, `Current password to sign out ${phone}`, 'wrong');
  await page.keyboard.press('Enter');
  await page.getByText('The current password is wrong.').waitFor();
  await look('account-unconfirmed-refused');
  assert.equal(await page.locator(':focus').getAttribute('name'), 'current_password', 'one goes on where it is wrong');
  await fill(page, `Current password to sign out ${phone}`, PASSWORD);
  await press(page, `Confirm and sign out ${phone}`);
  await page.getByText('The session was signed out.').waitFor();
  assert.equal(await page.locator('summary').count(), 0, 'the session is confirmed');
  await press(page, 'Sign out everywhere else');
  await page.goto('/account/close');
  await press(page, 'Close account');
}

/** Goes through the page of the API tokens, which leads to the page of a new token. */
async function walkTokens(page, look) {
  await page.goto('/account');
  await page.getByRole('link', { name: 'API tokens' }).click();
  await look('tokens-empty');
  await fill(page, 'Name', 'a\u202eb');
  await press(page, 'Create token');
  await look('tokens-refused');
  assert.equal(await page.locator(':focus').getAttribute('id'), 'name', 'one goes on where it is wrong');
  for (const name of ['Nightly build', 'مزامنة التقويم Kalender-Synchronisierungsdienstleistungsprogramm!']) {
    await fill(page, 'Name', name);
    await press(page, 'Create token');
    await look('token-created');
    assert.match(await page.getByLabel('API token').inputValue(), /^clk_[0-9A-Za-z]{49}$/);
    await page.getByRole('link', { name: 'Go to your API tokens' }).click();
  }
  await look('tokens');
  await press(page, 'Revoke Nightly build');
  await look('tokens-revoked');
  assert.equal(await page.getByRole('button', { name: /^Revoke / }).count(), 1);
}

/** The text of a mail to this address that contains `part`. The service puts mail into a folder. */
async function mailTo(address, part) {
  for (let tries = 0; tries < 100; tries++) {
    for (const name of await readdir(process.env.MAIL_FOLDER).catch(() => [])) {
      const text = name.endsWith('.eml') ? await readFile(join(process.env.MAIL_FOLDER, name), 'utf8') : '';
      if (text.includes(`To: ${address}\r\n`) && text.includes(part)) return text;
    }
    await sleep(100);
  }
  throw new Error(`no mail to ${address}`);
}

/** Adds an address and confirms it with the code from the mail. */
async function walkEmail(page, username, look) {
  const address = `${username}@example.org`;
  await page.goto('/account');
  await page.getByRole('link', { name: 'E-mail address' }).click();
  await look('email-none');
  await fill(page, 'E-mail address', 'somebody@localhost');
  await press(page, 'Send a code');
  await look('email-refused');
  assert.equal(await page.locator(':focus').getAttribute('id'), 'email', 'one goes on where it is wrong');
  await fill(page, 'E-mail address', address);
  await press(page, 'Send a code');
  await look('email-code');
  await fill(page, 'Code from the mail', 'AAAAA-AAAAA');
  await press(page, 'Confirm this address');
  await look('email-code-refused');
  const [code] = /\b[0-9A-Z]{5}-[0-9A-Z]{5}\b/.exec(await mailTo(address, '?code='));
  await fill(page, 'Code from the mail', code.toLowerCase());
  await press(page, 'Confirm this address');
  await look('email-confirmed');
  await page.getByText(address).first().waitFor();
}

/** Sets a new password with the link from a mail, and signs in with it. */
async function walkReset(page, username, look) {
  await page.goto('/password-reset');
  await look('reset');
  await fill(page, SIGN_IN_NAME, username);
  await press(page, 'Send the link');
  await look('reset-requested');
  const [link] = /\/password-reset\/confirm\?token=\S+/.exec(await mailTo(`${username}@example.org`, '?token='));
  const referrers = [];
  const note = (request) => referrers.push(request.headers().referer ?? '');
  page.on('request', note);
  await page.goto(link);
  await look('reset-link');
  assert.equal(await page.locator('input[autocomplete="username"]').inputValue(), username);
  await fill(page, 'New password', username);
  await press(page, 'Set the password');
  await look('reset-link-refused');
  assert.equal(await page.locator(':focus').getAttribute('id'), 'new_password', 'one goes on where it is wrong');
  await fill(page, 'New password', OTHER_PASSWORD);
  await press(page, 'Set the password');
  await look('reset-done');
  page.off('request', note);
  // MAIL-23: no request that the page causes contains its address, and no other origin gets any.
  const { origin } = new URL(page.url());
  assert.ok(referrers.includes(`${origin}/`), 'the page sends its form');
  assert.deepEqual(referrers.filter((referrer) => referrer && (!referrer.startsWith(`${origin}/`) || referrer.includes('token'))), []);
  await page.goto(link);
  await look('reset-link-used');
  await page.goto('/login');
  await fill(page, SIGN_IN_NAME, `${username}@example.org`);
  await fill(page, 'Password', OTHER_PASSWORD);
  await press(page, 'Sign in');
  assert.ok(page.url().endsWith('/account'));
}

/** Goes through all pages and checks each. */
async function walk(page, username, look) {
  await page.goto('/register');
  await look('register');
  await fill(page, 'User name', 'not allowed!');
  await fill(page, 'Password', 'short');
  await press(page, 'Create account');
  await look('register-refused');
  await fill(page, 'User name', username);
  await fill(page, 'Password', PASSWORD);
  await press(page, 'Create account');
  await signInElsewhere(page, username, 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1');
  await signInElsewhere(page, username, 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0');
  await page.goto('/account');
  await look('account');
  await press(page, 'Sign out Safari on iPhone, 127.0.0.1');
  await look('account-one-ended');
  assert.equal(await page.getByText('Safari on iPhone').count(), 0);
  assert.equal(await page.getByText('Firefox on Linux').count() > 0, true);

  await page.getByRole('link', { name: 'Change password' }).click();
  await look('password');
  await fill(page, 'Current password', 'not this one');
  await fill(page, 'New password', `${PASSWORD}!`);
  await press(page, 'Change password');
  await look('password-refused');
  const focused = page.locator(':focus');
  assert.equal(await focused.getAttribute('id'), 'current_password', 'one goes on where it is wrong');
  await fill(page, 'Current password', PASSWORD);
  await fill(page, 'New password', `${PASSWORD}!`);
  await press(page, 'Change password');
  await look('account-password-changed');
  assert.equal(await page.getByText('Firefox on Linux').count(), 0);

  await page.goto('/register');
  await look('register-signed-in');
  await page.goto('/nothing');
  await look('not-found-signed-in');
  await page.getByRole('link', { name: 'Go to your account' }).click();
  await page.getByLabel('Forget this browser').check();
  await press(page, 'Sign out');
  await look('signed-out-forgotten');
  await page.goto('/nothing');
  await look('not-found');
  await page.getByRole('link', { name: 'Sign in' }).click();
  await look('login');
  await fill(page, SIGN_IN_NAME, username);
  await fill(page, 'Password', 'wrong');
  await press(page, 'Sign in');
  await look('login-refused');
  assert.equal(await page.locator(':focus').getAttribute('id'), 'password', 'the name is kept');
  await fill(page, 'Password', `${PASSWORD}!`);
  await press(page, 'Sign in');

  await page.goto('/account/name');
  await look('name');
  await fill(page, 'Display name', 'a\u202eb');
  await press(page, 'Save');
  await look('name-refused');
  await fill(page, 'Display name', 'شيرين Anna-Katharina Großmannsdörfer-Łukaszewicz');
  await press(page, 'Save');
  await look('account-named');
  await walkTokens(page, look);
  await walkEmail(page, username, look);
  await walkReset(page, username, look);
  await page.goto('/account/close');
  await look('close-confirmed');
  await press(page, 'Close account');
  await look('closed');
  await walkUnconfirmed(page, `${username}-late`, look);
  await page.goto('/problems/session_refused');
  await look('problem');
  await page.goto('/private');
  await look('sign-in-needed');
  await page.goto('/account/sessions');
  await look('no-page');
  await page.goto('/logout');
  await look('not-signed-in');
}

for (const [screen, viewport] of Object.entries(SCREENS))
  for (const colorScheme of ['light', 'dark'])
    for (const javaScriptEnabled of [true, false]) {
      const scripts = javaScriptEnabled ? 'with' : 'without';
      test(`every page on a ${screen}, ${colorScheme}, ${scripts} JavaScript`, async () => {
        const options = { viewport, colorScheme, javaScriptEnabled, expected: [400, 401, 403, 404, 405, 422] };
        const page = await openPage(browser, { ...options, isMobile: screen === 'phone', bypassCSP: javaScriptEnabled });
        const said = [];
        await walk(page, PEOPLE.shift(), async (name) => {
          if (javaScriptEnabled) {
            await takePicture(page, `${name}-${screen}-${colorScheme}`);
            said.push(...(await complaintsOfAxe(page)).map((one) => `${name}: ${one}`));
          }
          const widest = await page.locator('html').evaluate((html) => html.scrollWidth);
          assert.ok(widest <= viewport.width, `${name} is ${widest} wide`);
        });
        assert.deepEqual(said, []);
        assert.deepEqual(page.complaints, []);
        await page.context().close();
      });
    }

test('by keyboard and without JavaScript, a token with a role is created, selected, used and revoked', async () => {
  const page = await openPage(browser, { javaScriptEnabled: false, viewport: SCREENS.phone, isMobile: true });
  await page.goto('/login');
  await fill(page, SIGN_IN_NAME, 'tiangolo'); // has the role `admin`
  await fill(page, 'Password', 'secret2');
  await press(page, 'Sign in');
  await page.goto('/account/tokens');
  await page.getByLabel('Name', { exact: true }).focus();
  await page.keyboard.type('By keyboard');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space'); // checks the role
  await page.keyboard.press('Tab');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('7');
  await takePicture(page, 'tokens-roles-phone', { fullPage: true });
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  await takePicture(page, 'token-created-roles-phone', { fullPage: true });
  assert.equal(await page.getByRole('definition').nth(1).innerText(), 'admin');
  const field = page.locator(':focus');
  const token = await field.inputValue();
  await page.keyboard.press('ControlOrMeta+A');
  const selected = () => field.evaluate(({ value, selectionStart, selectionEnd }) => value.slice(selectionStart, selectionEnd));
  assert.equal(await selected(), token);
  await page.keyboard.type('x');
  assert.equal(await field.inputValue(), token, 'it can only be read');
  const use = () => fetch(new URL('/me', page.url()), { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual((await (await use()).json()).roles, ['admin']);
  await page.goto('/account/tokens');
  assert.equal(await page.getByText(token).count(), 0);
  await page.getByText('Roles: admin').waitFor();
  const revoke = page.getByRole('button', { name: 'Revoke By keyboard' });
  await Promise.all([page.waitForNavigation(), revoke.press('Enter')]);
  await page.getByText('The API token was revoked.').waitFor();
  assert.equal((await use()).status, 401);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a script selects and copies a token, and a reload creates no other one', async () => {
  const page = await openPage(browser, { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.goto('/register');
  await fill(page, 'User name', 'copies');
  await fill(page, 'Password', PASSWORD);
  await press(page, 'Create account');
  await page.goto('/account/tokens');
  await fill(page, 'Name', 'Nightly build');
  await press(page, 'Create token');
  const field = page.getByLabel('API token');
  const token = await field.inputValue();
  await page.getByRole('button', { name: 'Copy' }).focus();
  await field.focus();
  assert.equal(await field.evaluate(({ selectionStart, selectionEnd }) => selectionEnd - selectionStart), token.length);
  await page.getByRole('button', { name: 'Copy' }).press('Enter');
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), token);
  let posts = 0;
  page.on('request', (request) => (posts += request.method() === 'POST'));
  await page.reload();
  assert.equal(posts, 0);
  assert.equal(await page.getByRole('button', { name: 'Revoke Nightly build' }).count(), 1);
  await page.goBack();
  assert.equal(await page.getByText(token).count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('att 18 14: after a refused form and a good one, going back shows no error page', async () => {
  const page = await openPage(browser, { expected: [403, 409] });
  for (const [path, button, bad] of [['/login?next=%2Faccount%3Fpage%3D1', 'Sign in', ['ida', 'wrong']], ['/register', 'Create account', ['tiangolo', PASSWORD]]]) {
    const name = path === '/register' ? 'User name' : SIGN_IN_NAME;
    await page.goto(path);
    await fill(page, name, bad[0]);
    await fill(page, 'Password', bad[1]);
    await press(page, button);
    await page.getByRole('alert').waitFor();
    assert.equal(page.url(), new URL(path, page.url()).href, 'a reload leads on as the form did');
    const [username, password] = path === '/register' ? ['ida', PASSWORD] : ['tiangolo', 'secret2'];
    await fill(page, name, username);
    await fill(page, 'Password', password);
    await press(page, button);
    await page.goBack();
    await page.getByText(username).first().waitFor(); // still signed in
    await page.goto('/account');
    await press(page, 'Sign out');
  }
  assert.deepEqual(page.complaints, []);
});

test('a script shows the password, counts its characters, and sends a form once', async () => {
  const page = await openPage(browser);
  await page.goto('/register');
  const password = page.getByLabel('Password', { exact: true });
  await password.fill('a long walk');
  await page.getByText('11 of at least 15 characters').waitFor();
  await password.fill(PASSWORD);
  await page.getByText('24 characters: long enough').waitFor();
  await page.getByRole('button', { name: 'Show password' }).click();
  assert.equal(await password.getAttribute('type'), 'text');
  let posts = 0;
  page.on('request', (request) => (posts += request.method() === 'POST'));
  await page.getByLabel('User name').fill('twice');
  await page.getByRole('button', { name: 'Create account' }).dblclick();
  await page.waitForURL('**/account');
  assert.equal(posts, 1);
  const time = page.locator('.sessions time').first();
  assert.match(await time.innerText(), /^(just now|\d+ minutes? ago)$/);
  assert.match(await time.getAttribute('title'), /^\w+ \d+, \d{4} at \d+:\d\d.[AP]M$/, 'where the reader is');
  assert.deepEqual(page.complaints, []);
});

test('inj 04: what others may have stored is text in every page', async () => {
  const page = await openPage(browser, { expected: [403, 404] });
  const dialogs = [];
  page.on('dialog', (dialog) => dialogs.push(dialog.message()) && dialog.dismiss());
  await page.goto('/register');
  await fill(page, 'User name', 'xss');
  await fill(page, 'Password', PASSWORD);
  await press(page, 'Create account');
  for (const evil of ['<script>alert(1)<', '"><img src=x onerror=alert(1)>', "'onfocus='alert(1)", '<svg onload=alert`1`>', '{{7*7}}${7*7}', '&lt;b&gt;', '<b>bold</b>'])
    await signInElsewhere(page, 'xss', evil);
  await page.goto('/account');
  assert.equal(await page.locator('.sessions li').count(), 8);
  assert.equal(await page.locator('.sessions :is(script, img, svg, b)').count(), 0);
  assert.ok(await page.getByText('{{7*7}}${7*7}').first().isVisible());
  for (const path of ['/login', '/register']) {
    for (const next of ['javascript:alert(1)', '/"><script>alert(1)</script>', "/'onfocus='alert(1)"])
      await page.goto(`${path}?next=${encodeURIComponent(next)}&invite=${encodeURIComponent('"><script>alert(1)</script>')}`);
  }
  await page.goto('/account?page=%3Cscript%3Ealert(1)%3C/script%3E&done=%3Cscript%3Ealert(1)%3C/script%3E');
  await press(page, 'Sign out');
  await page.goto('/login?signed_out=%3Cscript%3E');
  await fill(page, SIGN_IN_NAME, '"><script>alert(1)</script>');
  await fill(page, 'Password', 'wrong');
  await press(page, 'Sign in');
  assert.equal(await page.getByLabel('User name').inputValue(), '"><script>alert(1)</script>');
  assert.deepEqual(dialogs, []);
  assert.deepEqual(page.complaints, []); // a violation of the policy would be one
});
