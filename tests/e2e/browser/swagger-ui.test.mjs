// Swagger UI in use: what it shows, and signing in and out with Try it out.
import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';

import { launch, openPage, sessionCookie, takePicture, url } from './browser.mjs';
import { barSays, block, documentedOperations, openDocs as open, tryItOut } from './docs.mjs';

let browser;
let operations;

before(async () => {
  browser = await launch();
  operations = await documentedOperations();
});
after(() => browser?.close());

const openDocs = (options) => open(browser, options);

test('swagger ui shows every operation of the document, each once', async () => {
  const page = await openDocs();
  const shown = await page.locator('.opblock').evaluateAll((boxes) =>
    boxes.map((box) => {
      const method = box.querySelector('.opblock-summary-method').textContent;
      const path = box.querySelector('.opblock-summary-path').dataset.path;
      return `${method} ${path}`;
    }),
  );
  const documented = operations.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(shown.toSorted(), documented.toSorted());
  await takePicture(page, 'docs', { fullPage: true });
  assert.deepEqual(page.complaints, []);
});

test('operations are grouped, in the order in which a newcomer tries them', async () => {
  const page = await openDocs();
  const groups = await page.locator('.opblock-tag').evaluateAll((tags) => tags.map(({ dataset }) => dataset.tag));
  assert.deepEqual(groups, ['Login', 'Private', 'Sessions', 'Accounts', 'API tokens', 'Tokens', 'Proxies', 'Health']);
  for (const group of await page.locator('.opblock-tag').all()) {
    assert.match(await group.locator('small').innerText(), /\.$/, 'says what it is for');
  }
  const [first, second] = await page.locator('.opblock-summary-path').evaluateAll((paths) => paths.map(({ dataset }) => dataset.path));
  assert.deepEqual([first, second], ['/login', '/register']);
  const paths = operations.map(({ path }) => path);
  assert.ok(paths.indexOf('/private') < paths.indexOf('/logout'), 'one signs out in the end');
  assert.ok((await block(page, 'readPrivate').boundingBox()).y < 1200, '/private is not far below');
});

test('the demo users are announced above swagger ui', async () => {
  const page = await openDocs();
  const note = page.getByRole('note');
  assert.ok(await note.isVisible());
  for (const word of ['Demo', 'tiangolo', 'secret2', 'dmontagu', 'secret1']) {
    assert.ok((await note.innerText()).includes(word), word);
  }
});

test('log in, read, log out by try it out, and the cookie stays out of reach of scripts', async () => {
  const page = await openDocs({ expected: [401] });

  const before = await tryItOut(page, 'readPrivate');
  assert.equal(before.status, 401);
  assert.match(before.text, /Not authenticated/);

  const login = await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  assert.equal(login.status, 200);
  assert.match(login.text, /"ok": true/);
  assert.ok(login.cookie, 'a session cookie');
  assert.ok(!login.text.includes(login.cookie.value), 'the ticket is in no body');

  const read = await tryItOut(page, 'readPrivate');
  assert.equal(read.status, 200);
  assert.match(read.text, /"username": "tiangolo"/);
  await pictureForReadme(page);

  const logout = await tryItOut(page, 'logout');
  assert.equal(logout.status, 204);
  assert.equal(logout.cookie, undefined);

  const afterwards = await tryItOut(page, 'readPrivate');
  assert.equal(afterwards.status, 401);
  assert.match(afterwards.text, /Not authenticated/);

  assert.deepEqual(page.complaints, []);
});

test('the bar notices what a try it out changes', async () => {
  const page = await openDocs({ expected: [401] });
  await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  await barSays(page, 'Signed in as tiangolo.');
  await tryItOut(page, 'logout');
  await barSays(page, 'Not signed in.');
  await tryItOut(page, 'register', { username: 'closes-soon', password: 'a long walk by the river' });
  await barSays(page, 'Signed in as closes-soon.');
  await tryItOut(page, 'closeAccount');
  await barSays(page, 'Not signed in.');
  await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
  await barSays(page, 'Signed in as tiangolo.');
  await page.context().clearCookies();
  await tryItOut(page, 'getMe');
  await barSays(page, 'Not signed in.');
  assert.deepEqual(page.complaints, []);
});

test('the page works under each name of this machine', async () => {
  const { port } = new URL(url);
  for (const host of ['localhost', '127.0.0.1']) {
    const page = await openDocs({ baseURL: `http://${host}:${port}` });
    await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret2' });
    const read = await tryItOut(page, 'readPrivate');
    assert.equal(read.status, 200, host);
    assert.deepEqual(page.complaints, []);
  }
});

test('the page works behind a proxy that put it under a path of its own', async () => {
  const proxy = createServer((request, answer) => {
    const target = new URL(request.url.replace(/^\/auth/, ''), url);
    const forward = httpRequest(target, { method: request.method, headers: request.headers }, (upstream) => {
      answer.writeHead(upstream.statusCode, upstream.headers);
      upstream.pipe(answer);
    });
    request.pipe(forward);
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  try {
    const page = await openPage(browser);
    await page.goto(`http://127.0.0.1:${proxy.address().port}/auth/docs`);
    await page.locator('.opblock').nth(operations.length - 1).waitFor();
    const read = page.waitForResponse((response) => response.url().endsWith('/private'));
    await block(page, 'readPrivate').locator('.opblock-summary-control').click();
    await block(page, 'readPrivate').getByRole('button', { name: 'Execute' }).click();
    assert.equal(new URL((await read).url()).pathname, '/auth/private');
    assert.equal((await read).status(), 401);
  } finally {
    proxy.close();
  }
});

test('a wrong password by try it out is a 403 with the words of the snippet', async () => {
  const page = await openDocs({ expected: [403] });
  const login = await tryItOut(page, 'login', { username: 'tiangolo', password: 'secret1' });
  assert.equal(login.status, 403);
  assert.match(login.text, /Invalid user or password/);
  assert.equal(login.cookie, undefined);
  assert.deepEqual(page.complaints, []);
});

test('registering by try it out makes an account and signs in', async () => {
  const page = await openDocs();
  const register = await tryItOut(page, 'register', {
    username: 'swagger-fan',
    password: 'a long walk by the river',
  });
  assert.equal(register.status, 201);
  assert.match(register.text, /"swagger-fan"/);
  assert.ok(register.cookie, 'a session cookie');

  const read = await tryItOut(page, 'readPrivate');
  assert.equal(read.status, 200);
  assert.match(read.text, /"username": "swagger-fan"/);
  assert.deepEqual(page.complaints, []);
});

test('the body that swagger ui pre-fills for registering is one that registers', async () => {
  const page = await openDocs();
  const register = await tryItOut(page, 'register');
  assert.equal(register.status, 201, register.text);
  assert.deepEqual(page.complaints, []);
});

test('the page of swagger ui allows neither inline script nor foreign content', async () => {
  const answer = await fetch(`${url}/docs`);
  const policy = Object.fromEntries(
    answer.headers
      .get('content-security-policy')
      .split(';')
      .map((directive) => directive.trim().split(/\s+(.*)/)),
  );
  assert.equal(policy['default-src'], "'none'");
  assert.equal(policy['script-src'], "'self'");
  assert.equal(policy['style-src'], "'self'");
  assert.equal(policy['connect-src'], "'self'");
});

/**
 * The picture in the README: an operation, and what it answered. To renew it:
 * PORT=8000 tests/e2e/browser/run && cp target/screenshots/swagger-ui-signed-in.png docs/
 */
async function pictureForReadme(page) {
  await block(page, 'login').locator('.opblock-summary-control').click(); // closes it
  const body = block(page, 'readPrivate').locator('.live-responses-table .highlight-code').first();
  const bottom = await body.evaluate((box) => box.getBoundingClientRect().bottom + scrollY);
  await page.evaluate((y) => scrollTo(0, y - innerHeight), bottom + 12);
  await page.mouse.move(0, 0);
  await takePicture(page, 'swagger-ui-signed-in');
}
