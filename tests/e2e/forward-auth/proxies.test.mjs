// An app behind nginx and behind Caddy, with the configurations of docs/forward-auth.
import assert from 'node:assert/strict';
import { request as ask } from 'node:https';
import { after, before, describe, test } from 'node:test';

import { launch, takePicture } from '../browser/browser.mjs';

const { TOKEN, EDITOR_TOKEN, TOKEN_WITHOUT_ROLE } = process.env;
const bearer = (token) => `Bearer ${token}`;
const PERSON = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

for (const [name, port] of Object.entries({ nginx: process.env.NGINX, caddy: process.env.CADDY })) {
  /** Sends a request through the proxy; resolves to the status, the headers and the text. */
  const send = (host, path, { method = 'GET', headers = {}, body, localAddress } = {}) =>
    new Promise((done, failed) => {
      const length = body === undefined ? {} : { 'content-length': body.length };
      const options = { host: '127.0.0.1', port, servername: host, path, method, rejectUnauthorized: false, localAddress };
      const request = ask({ ...options, headers: { host, ...length, ...headers } }, async (answer) => {
        let text = '';
        for await (const chunk of answer) text += chunk;
        done({ status: answer.statusCode, headers: answer.headers, text });
      });
      request.on('error', failed);
      request.end(body);
    });
  const wiki = (path, options) => send('wiki.example.org', path, options);
  const tasks = (path, options) => send('tasks.example.org', path, options);
  const ci = (path, options) => send('ci.example.org', path, options);
  const id = (path, options) => send('id.example.org', path, options);

  const signIn = async (username = 'tiangolo') => {
    const body = JSON.stringify({ username, password: process.env.PASSWORD });
    const headers = { 'content-type': 'application/json' };
    const answer = await id('/login', { method: 'POST', headers, body });
    assert.equal(answer.status, 200, answer.text);
    const [set] = answer.headers['set-cookie'].filter((one) => one.startsWith('__Secure-session='));
    assert.match(set, /; Domain=example\.org$/);
    return set.split(';')[0];
  };
  const seenByTheApp = async (headers) => {
    const answer = await wiki('/headers', { headers });
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text);
  };

  describe(name, () => {
    test('without a session a program is refused, and a person led to the sign-in page', async () => {
      const program = await wiki('/headers');
      assert.equal(program.status, 401);
      assert.equal(JSON.parse(program.text).code, 'not_authenticated');
      const person = await wiki('/page?a=b&c=%20', { headers: PERSON });
      assert.equal(person.status, 303);
      const back = encodeURIComponent('https://wiki.example.org/page?a=b&c=%20');
      assert.equal(person.headers.location, `https://id.example.org/login?next=${back}`);
      const posted = await wiki('/save', { method: 'POST', headers: PERSON, body: 'text=x' });
      assert.equal(posted.status, 303);
      assert.match(posted.headers.location, /next=https%3A%2F%2Fwiki.example.org%2F$/);
    });

    test('with one the app is reached, by every method, and knows who asks', async () => {
      const cookie = await signIn();
      const seen = await seenByTheApp({ cookie });
      assert.deepEqual(seen['remote-user'], ['tiangolo']);
      const me = JSON.parse((await id('/me', { headers: { cookie } })).text);
      assert.deepEqual(seen['remote-user-id'], [me.id]);
      const session = JSON.parse((await id('/session', { headers: { cookie } })).text);
      assert.deepEqual(seen['remote-session'], [session.id]);
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
        assert.equal((await wiki('/headers', { method, headers: { cookie }, body: 'x' })).status, 200, method);
    });

    test('att 17 06: the address is what the proxy saw, whatever a client writes', async () => {
      const cookie = await signIn();
      const from = { localAddress: '127.0.0.5' };
      const body = JSON.stringify({ username: 'tiangolo', password: process.env.PASSWORD });
      for (const spoofed of [
        { forwarded: 'for=203.0.113.9' },
        { 'x-forwarded-for': '203.0.113.9' },
        { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' },
      ]) {
        const headers = { 'content-type': 'application/json', ...spoofed };
        const answer = await id('/login', { method: 'POST', headers, body, ...from });
        assert.equal(JSON.parse(answer.text).session.address, '127.0.0.5', JSON.stringify(spoofed));
        const seen = await wiki('/headers', { headers: { cookie, ...spoofed }, ...from });
        const app = JSON.parse(seen.text);
        assert.deepEqual(app['x-forwarded-for'], ['127.0.0.5'], JSON.stringify(spoofed));
        assert.equal(app.forwarded, undefined);
      }
    });

    test('a CORS preflight goes to the app without a check and without an identity, and nothing else does', async () => {
      const preflight = { origin: 'https://app.example.org', 'access-control-request-method': 'PUT' };
      const cookie = await signIn();
      for (const more of [{}, { 'Remote-User': 'admin' }, { 'Remote_User': 'admin' }, { cookie }]) {
        const answer = await wiki('/headers', { method: 'OPTIONS', headers: { ...preflight, ...more } });
        assert.equal(answer.status, 200, answer.text);
        const seen = JSON.parse(answer.text);
        assert.equal(seen['remote-user'], undefined, answer.text);
        assert.ok(!answer.text.includes('admin') && !answer.text.includes('__Secure-session'), answer.text);
        assert.deepEqual(seen['access-control-request-method'], ['PUT']);
      }
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'])
        assert.equal((await wiki('/headers', { method, headers: preflight, body: '' })).status, 401, method);
      for (const name of Object.keys(preflight)) {
        const { [name]: _, ...rest } = preflight;
        assert.equal((await wiki('/headers', { method: 'OPTIONS', headers: rest })).status, 401, `without ${name}`);
      }
      assert.equal((await wiki('/headers', { method: 'OPTIONS' })).status, 401);
    });

    test('after a revocation it is refused at once', async () => {
      for (const end of [
        (cookie) => id('/logout', { method: 'POST', headers: { cookie, 'content-length': 0 } }),
        async (cookie) => {
          const other = await signIn();
          return id('/sessions', { method: 'DELETE', headers: { cookie: other } });
        },
      ]) {
        const cookie = await signIn();
        for (let n = 0; n < 20; n++) await seenByTheApp({ cookie });
        assert.ok((await end(cookie)).status < 300);
        assert.equal((await wiki('/headers', { headers: { cookie } })).status, 401);
        assert.equal((await wiki('/', { headers: { cookie, ...PERSON } })).status, 303);
      }
    });

    test('inj 06: who one is, is said by the service alone, in whatever spelling', async () => {
      const cookie = await signIn();
      const claims = {};
      for (const header of ['Remote-User', 'remote-user', 'REMOTE-USER', 'Remote_User', 'REMOTE_USER'])
        claims[header] = 'admin';
      for (const header of ['Remote-User-Id', 'Remote_User_Id', 'Remote_User-Id', 'Remote-Session', 'Remote_Session', 'Remote-Name', 'Remote_Name'])
        claims[header] = 'admin';
      for (const [header, value] of Object.entries(claims)) {
        const seen = await seenByTheApp({ cookie, [header]: value });
        assert.deepEqual(seen['remote-user'], ['tiangolo'], header);
        assert.ok(!JSON.stringify(seen).includes('admin'), `${header}: ${JSON.stringify(seen)}`);
        assert.equal((await wiki('/headers', { headers: { [header]: value } })).status, 401, header);
      }
      const twice = await seenByTheApp({ cookie, 'Remote-User': ['admin', 'root'] });
      assert.deepEqual(twice['remote-user'], ['tiangolo']);
      const hopByHop = await seenByTheApp({ cookie, connection: 'close, remote-user' });
      assert.ok([undefined, 'tiangolo'].includes(hopByHop['remote-user']?.[0]), JSON.stringify(hopByHop));
    });

    test('rol 04: no group, address or name that a client makes up reaches the app', async () => {
      const [without, editor] = [await signIn(), await signIn('ann')];
      const names = ['Groups', 'Email', 'Name'].flatMap((last) => [`Remote-${last}`, `Remote_${last}`]);
      for (const header of names.flatMap((one) => [one, one.toLowerCase(), one.toUpperCase()])) {
        const seen = await seenByTheApp({ cookie: without, [header]: 'forged' });
        assert.ok(!JSON.stringify(seen).includes('forged'), `${header}: ${JSON.stringify(seen)}`);
        assert.equal(seen['remote-groups']?.[0] ?? '', '', header);
        const preflight = { origin: 'https://app.example.org', 'access-control-request-method': 'PUT' };
        const asked = await wiki('/headers', { method: 'OPTIONS', headers: { ...preflight, [header]: 'forged' } });
        assert.equal(asked.status, 200);
        assert.ok(!asked.text.includes('forged'), `${header}: ${asked.text}`);
        const real = await seenByTheApp({ cookie: editor, [header]: 'forged' });
        assert.deepEqual(real['remote-groups'], ['editor'], header);
        assert.ok(!JSON.stringify(real).includes('forged'), header);
      }
    });

    test('rol 06: an app that needs a role is reached by users who have it', async () => {
      const [without, editor] = [await signIn(), await signIn('ann')];
      assert.equal((await tasks('/headers', { headers: { cookie: editor } })).status, 200);
      const program = await tasks('/headers', { headers: { cookie: without } });
      assert.deepEqual([program.status, JSON.parse(program.text).code], [403, 'role_needed']);
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
        assert.equal((await tasks('/save', { method, headers: { cookie: without }, body: 'x' })).status, 403, method);
      const person = await tasks('/page', { headers: { ...PERSON, cookie: without } });
      assert.equal(person.status, 403);
      for (const part of ['<code>editor</code>', '<code>admin</code>', '>tiangolo<', 'https://id.example.org/login?next='])
        assert.ok(person.text.includes(part), `${part} in ${person.text}`);
      assert.equal((await tasks('/headers')).status, 401);
      assert.equal((await tasks('/page', { headers: PERSON })).status, 303);
    });

    test('rol 07: a role in the URL that a client requests changes nothing', async () => {
      const cookie = await signIn();
      for (const query of ['role=editor', 'role=wiki-admin', 'role=', 'role=%00', 'role=a&role=b', 'a=b']) {
        const open = await wiki(`/headers?${query}`, { headers: { cookie } });
        assert.equal(open.status, 200, `${query}: ${open.text}`);
        assert.equal((await wiki(`/page?${query}`, { headers: { ...PERSON, cookie } })).status, 200, query);
        assert.equal((await tasks(`/headers?${query}`, { headers: { cookie } })).status, 403, query);
        assert.equal((await tasks(`/page?${query}`, { headers: { ...PERSON, cookie } })).status, 403, query);
        assert.equal((await wiki(`/headers?${query}`)).status, 401, query);
      }
    });

    test('tok 12: an app is not reached with an API token unless its address says so', async () => {
      const cookie = await signIn();
      for (const authorization of [bearer(TOKEN), bearer(EDITOR_TOKEN), `bearer   ${TOKEN}`, bearer('clk_made-up')])
        for (const headers of [{ authorization }, { authorization, cookie }])
          for (const [app, path] of [[wiki, '/headers'], [wiki, '/headers?token=yes'], [tasks, '/headers?token=yes']]) {
            const program = await app(path, { headers });
            assert.deepEqual([program.status, JSON.parse(program.text).code], [401, 'token_refused'], authorization);
            assert.match(program.headers['www-authenticate'], /^Bearer .*error="invalid_token"/);
          }
    });

    test('tok 13: an app that accepts API tokens knows whose it is, and does not receive it', async () => {
      for (const authorization of [bearer(EDITOR_TOKEN), `bearer ${EDITOR_TOKEN}`, `BEARER   ${EDITOR_TOKEN}`]) {
        const answer = await ci('/headers', { headers: { authorization } });
        assert.equal(answer.status, 200, answer.text);
        const seen = JSON.parse(answer.text);
        assert.deepEqual([seen['remote-user'], seen['remote-groups']], [['ann'], ['editor']]);
        assert.equal(seen['remote-session']?.[0] ?? '', '');
        assert.equal(seen.authorization, undefined);
        assert.ok(!answer.text.includes('clk_'), answer.text);
      }
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        const headers = { authorization: bearer(EDITOR_TOKEN) };
        assert.equal((await ci('/headers', { method, headers, body: 'x' })).status, 200, method);
      }
    });

    test('tok 13: no request takes an API token to an app', async () => {
      const cookie = await signIn('ann');
      const preflight = { origin: 'https://app.example.org', 'access-control-request-method': 'PUT' };
      const [token, basic] = [bearer(EDITOR_TOKEN), 'Basic YW5uOnNlY3JldA=='];
      const several = [[basic, token], [token, basic], [token, token], `${basic}, ${token}`, `bearer\t${EDITOR_TOKEN}`];
      let reached = 0;
      for (const authorization of [token, ...several])
        for (const app of [wiki, tasks, ci])
          for (const [method, more] of [['GET', { cookie }], ['GET', {}], ['OPTIONS', preflight]]) {
            const answer = await app('/headers', { method, headers: { ...more, authorization } });
            if (answer.status === 200) reached += 1;
            assert.ok(!answer.text.includes('clk_'), `${method} ${authorization}: ${answer.text}`);
          }
      assert.ok(reached >= 6, `${reached} requests reached an app`);
    });

    test('tok 13: other credentials in Authorization reach the app, next to the session', async () => {
      const cookie = await signIn('ann');
      for (const authorization of ['Basic YW5uOnNlY3JldA==', 'Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln', 'Digest username="clk_"'])
        for (const app of [wiki, tasks, ci]) {
          const answer = await app('/headers', { headers: { cookie, authorization } });
          assert.equal(answer.status, 200, answer.text);
          assert.deepEqual(JSON.parse(answer.text).authorization, [authorization]);
          assert.equal((await app('/headers', { headers: { authorization } })).status, 401);
        }
    });

    test('of an app that accepts API tokens, a token decides alone', async () => {
      const cookie = await signIn('ann');
      assert.equal((await ci('/headers', { headers: { cookie } })).status, 200);
      const both = await ci('/headers', { headers: { cookie, authorization: bearer(TOKEN_WITHOUT_ROLE) } });
      assert.deepEqual([both.status, JSON.parse(both.text).code], [403, 'role_needed']);
      for (const authorization of [bearer('clk_made-up'), bearer(`${EDITOR_TOKEN}x`)]) {
        const refused = await ci('/headers', { headers: { cookie, authorization } });
        assert.deepEqual([refused.status, JSON.parse(refused.text).code], [401, 'token_refused']);
        assert.match(refused.headers['www-authenticate'], /^Bearer .*error="invalid_token"/);
      }
      const foreign = await ci('/headers', { headers: { cookie: await signIn(), authorization: bearer(EDITOR_TOKEN) } });
      assert.deepEqual(JSON.parse(foreign.text)['remote-user'], ['ann']);
    });

    test('inj 07: what is neither yes nor 401 lets nobody through', async () => {
      const odd = { cookie: '__Secure-session=made.up.one' };
      assert.equal((await wiki('/headers', { headers: odd })).status, 401);
      const two = { cookie: `${await signIn()}; __Secure-session=another` };
      assert.equal((await wiki('/headers', { headers: two })).status, 401);
      for (const path of ['/.cloakroom/check', '/.cloakroom/refused', '/forward-auth'])
        assert.notEqual((await wiki(path)).status, 200, path);
    });

    test('the app gets all cookies but the session', async () => {
      const cookie = await signIn();
      for (const [sent, left] of [
        [cookie, ''],
        [`a=b; ${cookie}`, 'a=b'],
        [`${cookie}; a=b`, 'a=b'],
        [`a=b; ${cookie}; c=d`, 'a=b; c=d'],
      ]) {
        const seen = await seenByTheApp({ cookie: sent });
        const rest = (seen.cookie ?? []).join('; ').split(/; */).filter(Boolean);
        assert.equal(rest.join('; '), left, sent);
      }
    });

    describe('in Chromium', () => {
      let browser;
      before(async () => {
        browser = await launch(`--host-resolver-rules=MAP *.example.org 127.0.0.1:${port}`);
      });
      after(() => browser?.close());

      test('who has no role sees a page that says so, and gets to another account', async () => {
        const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 375, height: 700 } });
        const page = await context.newPage();
        await page.goto('https://tasks.example.org/page');
        await page.getByLabel('User name').fill('tiangolo');
        await page.getByLabel('Password', { exact: true }).fill(process.env.PASSWORD);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.waitForURL('https://tasks.example.org/page');
        assert.equal(await page.getByRole('heading').innerText(), 'Role needed');
        assert.equal(await page.locator('#who').innerText(), 'tiangolo');
        const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.notEqual(background, 'rgba(0, 0, 0, 0)', 'the stylesheet is applied');
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 375, `${width} pixels wide`);
        if (name === 'nginx') await takePicture(page, 'role-needed');
        await page.emulateMedia({ colorScheme: 'dark' });
        if (name === 'nginx') await takePicture(page, 'role-needed-dark');
        await page.getByRole('link', { name: 'Use another account' }).click();
        assert.equal(new URL(page.url()).hostname, 'id.example.org');
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.waitForURL('https://id.example.org/signed-out');
        await page.goto('https://tasks.example.org/page');
        await page.getByLabel('User name').fill('ann');
        await page.getByLabel('Password', { exact: true }).fill(process.env.PASSWORD);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.waitForURL('https://tasks.example.org/page');
        assert.equal(await page.getByRole('heading').innerText(), 'Hello, ann');
        await context.close();
      });

      for (const javaScriptEnabled of [true, false])
        test(`one signs in on the way to the app, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
          const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled });
          const page = await context.newPage();
          const complaints = [];
          page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
          await page.goto('https://wiki.example.org/page?a=b');
          assert.equal(new URL(page.url()).hostname, 'id.example.org');
          if (name === 'nginx' && javaScriptEnabled) await takePicture(page, 'on-the-way-to-an-app');
          await page.getByLabel('User name').fill('tiangolo');
          await page.getByLabel('Password', { exact: true }).fill(process.env.PASSWORD);
          await page.getByRole('button', { name: 'Sign in' }).click();
          await page.waitForURL('https://wiki.example.org/page?a=b');
          assert.equal(await page.getByRole('heading').innerText(), 'Hello, tiangolo');

          await page.goto('https://id.example.org/account');
          await page.getByRole('button', { name: 'Sign out', exact: true }).click();
          await page.waitForURL('https://id.example.org/signed-out');
          await page.goto('https://wiki.example.org/page');
          assert.equal(new URL(page.url()).hostname, 'id.example.org');
          assert.deepEqual(complaints, []);
          await context.close();
        });
    });
  });
}
