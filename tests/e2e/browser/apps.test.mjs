// Signing in from an app, in a real browser: the user arrives whatever origins the app redirects
// to. Chromium checks every redirect in response to a form against the policy of the form's page.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { complaintsOfAxe } from './accessible.mjs';
import { launch, openPage, takePicture } from './browser.mjs';

const PASSWORD = 'a long walk by the river';

/** The redirects of the apps by path; every other path is a page. */
const REDIRECTS = {
  'http://app.test/to-https': 'https://app.test/arrived',
  'http://app.test/to-www': 'http://www.app.test/arrived',
  'http://app.test/to-sso': 'http://sso.test/authorize',
  'http://sso.test/authorize': 'http://app.test/callback?code=1',
  'http://app.test/callback?code=1': 'http://www.app.test/arrived',
  'http://app.test/to-another-app': 'https://secure.test/arrived',
};

let browser;
const servers = [];

before(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cloakroom-apps-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync('openssl', [...request, '-subj', '/CN=app.test', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const pair = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  const answer = (scheme) => (request, response) => {
    const location = REDIRECTS[`${scheme}://${request.headers.host}${request.url}`];
    if (location) return response.writeHead(302, { location }).end();
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><html lang="en"><title>App</title><h1>Arrived</h1></html>');
  };
  servers.push(createServer(answer('http')), createSecureServer(pair, answer('https')));
  for (const server of servers) await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const [plain, secure] = servers.map((server) => server.address().port);
  const rules = `MAP *.test:80 127.0.0.1:${plain}, MAP *.test:443 127.0.0.1:${secure}`;
  browser = await launch(`--host-resolver-rules=${rules}`, '--disable-features=HttpsUpgrades');
});
after(async () => {
  await browser?.close();
  for (const server of servers) server.close();
});

const WAYS = [
  ['http://app.test/', 'http://app.test/'],
  ['http://app.test/to-https', 'https://app.test/arrived'],
  ['http://app.test/to-www', 'http://www.app.test/arrived'],
  ['http://app.test/to-sso', 'http://www.app.test/arrived'],
  ['http://app.test/to-another-app', 'https://secure.test/arrived'],
];

async function fillIn(page, username, password, button) {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: button }).click();
}

/** Checks that the user has arrived and the browser reported no errors on the way. */
async function arrives(page, there) {
  await page.waitForURL(there);
  assert.equal(await page.getByRole('heading').innerText(), 'Arrived');
  const ours = page.complaints.filter((complaint) => !complaint.includes('.test/favicon.ico'));
  assert.deepEqual(ours, []);
}

for (const javaScriptEnabled of [true, false])
  for (const [next, there] of WAYS) {
    const scripts = javaScriptEnabled ? 'with' : 'without';
    test(`att 18 01: one signs in towards ${next} and arrives at ${there}, ${scripts} JavaScript`, async () => {
      const page = await openPage(browser, { javaScriptEnabled, ignoreHTTPSErrors: true, expected: [404] });
      await page.goto(`/login?next=${encodeURIComponent(next)}`);
      await fillIn(page, 'dmontagu', 'secret1', 'Sign in');
      await arrives(page, there);

      // a signed-in user goes on by a link here, because an app that cannot read the session would
      // cause an endless redirect
      await page.goto(`/login?next=${encodeURIComponent(next)}`);
      await page.getByRole('link', { name: 'app.test' }).click();
      await arrives(page, there);
      await page.context().close();
    });
  }

test('att 18 01: one registers towards an app and arrives', async () => {
  const page = await openPage(browser, { ignoreHTTPSErrors: true });
  await page.goto(`/register?next=${encodeURIComponent('http://app.test/to-sso')}`);
  await fillIn(page, 'towards-an-app', PASSWORD, 'Create account');
  await arrives(page, 'http://www.app.test/arrived');
  await page.context().close();
});

test('the page that leads on has a link for browsers that do not, and axe finds nothing in it', async () => {
  const page = await openPage(browser, { bypassCSP: true, viewport: { width: 375, height: 812 } });
  await page.route('http://app.test/**', (route) => route.fulfill({ status: 204 })); // stays here
  await page.goto(`/login?next=${encodeURIComponent('http://app.test/')}`);
  await fillIn(page, 'dmontagu', 'secret1', 'Sign in');
  const link = page.getByRole('link', { name: 'Continue to app.test' });
  assert.equal(await link.getAttribute('href'), 'http://app.test/');
  await takePicture(page, 'leads-on');
  assert.deepEqual(await complaintsOfAxe(page), []);
  await page.context().close();
});
