import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import makeFetchCookie from 'fetch-cookie';
import createClient from 'openapi-fetch';
import type { paths } from './cloakroom.d.ts';
import { runSamples } from './samples';
import { visit } from './visit';

const baseUrl = process.env.CLOAKROOM_URL!;
const wrongPassword = process.env.WRONG_PASSWORD!; // the code that the service sends for it
const username = 'tiangolo';
const password = 'secret2';

/** A client with its own cookie jar, like another device. */
const device = () => createClient<paths>({ baseUrl, fetch: makeFetchCookie(fetch) });

// A request without a session and a login with a wrong password are refused.
const ann = device();
assert.equal((await ann.GET('/private')).error?.code, 'not_authenticated');
const wrong = await ann.POST('/login', { body: { username, password: 'secret3' } });
assert.equal(wrong.response.status, 403);
assert.equal(wrong.error?.status, 403);
assert.equal(wrong.error?.code, wrongPassword);
const message = wrongPassword === 'invalid_credentials' ? /^Error: Wrong user/ : /^Error: 403 /;
await assert.rejects(visit(baseUrl, username, 'secret3'), message);

// Two devices sign in, and the second one revokes the session of the first.
const there = await ann.POST('/login', { body: { username, password, remember: true } });
assert.equal(there.data?.ok, true);
assert.equal((await ann.GET('/private')).data?.username, username);
const here = device();
await here.POST('/login', { body: { username, password } });
const list = await here.GET('/sessions');
const listed = list.data?.sessions.find((session) => session.id === there.data?.session.id);
assert.equal(listed?.current, false);
assert.equal(listed?.remember, true);
assert.ok(Math.abs(Date.parse(listed.created_at) - Date.now()) < 60_000);
const ended = await here.DELETE('/sessions/{id}', { params: { path: { id: listed.id } } });
assert.equal(ended.response.status, 204);
const again = await here.DELETE('/sessions/{id}', { params: { path: { id: listed.id } } });
assert.equal(again.error?.code, 'not_found');
assert.equal((await ann.GET('/private')).error?.code, 'session_refused');
assert.equal((await here.GET('/private')).data?.username, username);

// The README's program revokes that session too, and its own at the end.
assert.equal(await visit(baseUrl, username, password), 'get some private data');
assert.equal((await here.GET('/private')).error?.code, 'session_refused');

// A new user registers, changes the password and closes the account.
const bob = device();
const name = `ts-late-${randomBytes(6).toString('hex')}`;
const short = await bob.POST('/register', { body: { username: name, password: 'short' } });
assert.equal(short.error?.code, 'policy_violation');
assert.equal(short.error?.errors?.[0]?.field, 'password');
const made = await bob.POST('/register', {
  body: { username: name, password: 'a long walk by the river' },
});
assert.equal(made.response.status, 201);
assert.equal(made.data?.username, name);
const change = await bob.PUT('/me/password', {
  body: { current_password: 'a long walk by the river', new_password: 'a short walk by the sea' },
});
assert.equal(change.response.status, 204);
assert.equal((await bob.GET('/me')).data?.id, made.data?.id);

// This user has neither of the roles that a proxy asks for.
const check = await bob.GET('/forward-auth', { params: { query: { role: ['wiki-editor', 'wiki-admin'] } } });
assert.equal(check.error?.code, 'role_needed');

// This user signed in too long ago, so the client confirms the session and repeats the request.
assert.equal((await bob.DELETE('/me')).error?.code, 'confirmation_required');
const confirmed = await bob.POST('/session/confirm/password', {
  body: { current_password: 'a short walk by the sea' },
});
assert.ok(confirmed.data?.confirmed_until);

// TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
const token = await bob.POST('/api-tokens', { body: { name: 'Nightly build' } });
assert.equal(token.response.status, 201);
const headers = { Authorization: `Bearer ${token.data?.token}` };
const program = createClient<paths>({ baseUrl, headers });
assert.equal((await program.GET('/private')).data?.username, name);
const both = createClient<paths>({ baseUrl, headers, fetch: makeFetchCookie(fetch) });
assert.equal((await both.POST('/login', { body: { username, password } })).data?.ok, true);
assert.equal((await both.GET('/me')).data?.username, name);
assert.equal((await both.GET('/api-tokens')).error?.code, 'token_refused');
await bob.DELETE('/api-tokens/{id}', { params: { path: { id: token.data!.id } } });
assert.equal((await program.GET('/private')).error?.code, 'token_refused');
assert.equal((await both.GET('/me')).error?.code, 'token_refused');
assert.equal((await bob.GET('/me')).data?.username, name);

// The confirmed session closes the account.
assert.equal((await bob.DELETE('/me')).response.status, 204);
assert.equal((await bob.GET('/me')).error?.code, 'not_authenticated');

// A user confirms an address with the code from a mail, and sets a new password with the link from another.
const mailbox = process.env.MAILBOX;
if (mailbox) {
  const cleo = device();
  const email = `ts-${randomBytes(6).toString('hex')}@example.org`;
  const mailed = async (secret: string) => (await fetch(`${mailbox}/${secret}/${email}`)).text();
  const registration = { username: email.split('@')[0], password: 'a long walk by the river', email };
  assert.equal((await cleo.POST('/register', { body: registration })).data?.unconfirmed_email, email);
  const code = await mailed('code');
  assert.equal((await cleo.POST('/me/email/confirm', { body: { code } })).data?.email, email);
  const forgetful = device();
  assert.equal((await forgetful.POST('/password-reset', { body: { username: email } })).response.status, 202);
  const body = { token: await mailed('token'), new_password: 'a short walk by the sea' };
  assert.equal((await forgetful.POST('/password-reset/confirm', { body })).response.status, 204);
  assert.equal((await forgetful.POST('/password-reset/confirm', { body })).error?.code, 'reset_refused');
  assert.equal((await cleo.GET('/me')).error?.code, 'session_refused');
  const signedIn = await forgetful.POST('/login', { body: { username: email, password: body.new_password } });
  assert.equal(signedIn.data?.ok, true);
}

// The samples of the document work as they are shown.
await runSamples(baseUrl, `ts-${randomBytes(6).toString('hex')}`);
