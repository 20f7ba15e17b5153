// CSRF-09: pages of other origins, in a real browser, cannot change anything.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { launch, openPage, sessionCookie, url } from './browser.mjs';

let browser;
let attacker; // serves the attack pages
let evil; // another site
let sibling; // another origin of the same site

const ATTACKS = {
  'a form that signs out': form(`${url}/logout`, {}),
  'a form that signs in as somebody else': form(`${url}/login`, { username: 'dmontagu', password: 'secret1' }),
  'a form that makes an account': form(`${url}/register`, {
    username: 'planted',
    password: 'a long walk by the river',
  }),
  'a form in an iframe': `<iframe name="inside"></iframe>${form(`${url}/logout`, {}, 'inside')}`,
  'a form in a new window': form(`${url}/logout`, {}, '_blank'),
  'a picture that signs out': `<img src="${url}/logout">`,
  'fetch without CORS': script(`
    fetch('${url}/logout', { method: 'POST', mode: 'no-cors', credentials: 'include' });
    fetch('${url}/login', {
      method: 'POST', mode: 'no-cors', credentials: 'include',
      body: new URLSearchParams({ username: 'dmontagu', password: 'secret1' }),
    });`),
  'fetch with CORS': script(`
    for (const method of ['POST', 'DELETE']) {
      fetch('${url}/sessions', { method, credentials: 'include' }).catch(() => {});
      fetch('${url}/logout', { method, credentials: 'include' }).catch(() => {});
    }`),
  'window.open': script(`open('${url}/logout')`),
};

function form(action, fields, target = '_self') {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
  return `<form method="post" action="${action}" target="${target}">${inputs.join('')}</form>
    <script>document.forms[0].submit()</script>`;
}

function script(text) {
  return `<script>${text}</script>`;
}

before(async () => {
  const pages = Object.values(ATTACKS);
  attacker = createServer((request, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end(`<!DOCTYPE html><title>attack</title>${pages[Number(request.url.slice(1))] ?? ''}`);
  });
  await new Promise((done) => attacker.listen(0, '127.0.0.1', done));
  const { port } = attacker.address();
  evil = `http://evil.test:${port}`;
  sibling = `http://127.0.0.1:${port}`;
  browser = await launch('--host-resolver-rules=MAP evil.test 127.0.0.1');
});
after(async () => {
  await browser?.close();
  attacker?.close();
});

/** The service's answer for the session whose cookie the browser holds. */
async function state(page) {
  const [me, sessions] = await Promise.all(['/me', '/sessions'].map((path) => page.request.get(path)));
  const { sessions: list } = await sessions.json();
  return { username: (await me.json()).username, sessions: list.map(({ id }) => id).sort() };
}

for (const [n, name] of Object.keys(ATTACKS).entries()) {
  test(`csrf 09: ${name} changes nothing, from another site or origin`, async () => {
    const page = await openPage(browser);
    await page.goto('/login');
    await page.getByLabel('User name').fill('tiangolo');
    await page.getByLabel('Password', { exact: true }).fill('secret2');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL('**/account');
    const before = await state(page);
    const cookie = await sessionCookie(page);

    for (const origin of [evil, sibling]) {
      const attack = await page.context().newPage();
      const asked = [];
      const isAttack = (request) => new RegExp(`^${url}/(login|logout|register|sessions)$`).test(request.url());
      page.context().on('request', (request) => isAttack(request) && asked.push(request));
      await attack.goto(`${origin}/${n}`);
      for (const start = Date.now(); asked.length === 0 && Date.now() - start < 60_000; ) {
        await attack.waitForTimeout(50);
      }
      await attack.waitForTimeout(500); // for further requests
      assert.ok(asked.length > 0, `the attack from ${origin} reached the service`);
      for (const request of asked) {
        const answer = await request.response(); // none where the browser itself blocks the page from reading it
        if (!answer) continue;
        assert.ok([403, 405].includes(answer.status()), `${answer.url()} ${answer.status()}`);
        assert.equal((await answer.allHeaders())['set-cookie'], undefined);
      }
      assert.deepEqual(await sessionCookie(page), cookie);
      await attack.close();
    }
    assert.deepEqual(await state(page), before);
    assert.equal(before.username, 'tiangolo');
  });
}
