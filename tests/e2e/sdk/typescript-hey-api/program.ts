import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import makeFetchCookie from 'fetch-cookie';
import * as cloakroom from './cloakroom';
import { createClient } from './cloakroom/client';
import { visit } from './visit';

const baseUrl = process.env.CLOAKROOM_URL!;
const wrongPassword = process.env.WRONG_PASSWORD!; // the code that the service sends for it
const username = 'tiangolo';
const password = 'secret2';

/** A client with its own cookie jar, like another device. */
const device = () => createClient({ baseUrl, fetch: makeFetchCookie(fetch) });

// A request without a session and a login with a wrong password are refused.
const ann = device();
const nobody = await cloakroom.readPrivate({ client: ann });
assert.equal(nobody.error?.code, 'not_authenticated');
const wrong = await cloakroom.login({ client: ann, body: { username, password: 'secret3' } });
assert.equal(wrong.response?.status, 403);
assert.equal(wrong.error?.status, 403);
assert.equal(wrong.error?.code, wrongPassword);
const message = wrongPassword === 'invalid_credentials' ? /^Error: Wrong user/ : /^Error: 403 /;
await assert.rejects(visit(baseUrl, username, 'secret3'), message);

// Two devices sign in, and the second one revokes the session of the first.
const there = await cloakroom.login({ client: ann, body: { username, password, remember: true } });
assert.equal(there.data?.ok, true);
assert.equal((await cloakroom.readPrivate({ client: ann })).data?.username, username);
const here = device();
await cloakroom.login({ client: here, body: { username, password } });
const list = await cloakroom.listSessions({ client: here });
const listed = list.data?.sessions.find((session) => session.id === there.data?.session.id);
assert.equal(listed?.current, false);
assert.equal(listed?.remember, true);
assert.ok(Math.abs(Date.parse(listed.created_at) - Date.now()) < 60_000);
const ended = await cloakroom.revokeSession({ client: here, path: { id: listed.id } });
assert.equal(ended.response?.status, 204);
const again = await cloakroom.revokeSession({ client: here, path: { id: listed.id } });
assert.equal(again.error?.code, 'not_found');
assert.equal((await cloakroom.readPrivate({ client: ann })).error?.code, 'session_refused');
assert.equal((await cloakroom.readPrivate({ client: here })).data?.username, username);

// The README's program revokes that session too, and its own at the end.
assert.equal(await visit(baseUrl, username, password), 'get some private data');
assert.equal((await cloakroom.readPrivate({ client: here })).error?.code, 'session_refused');

// A new user registers, changes the password and closes the account.
const bob = device();
const name = `hey-late-${randomBytes(6).toString('hex')}`;
const short = await cloakroom.register({ client: bob, body: { username: name, password: 'short' } });
assert.equal(short.error?.code, 'policy_violation');
assert.equal(short.error?.errors?.[0]?.field, 'password');
const made = await cloakroom.register({
  client: bob,
  body: { username: name, password: 'a long walk by the river' },
});
assert.equal(made.response?.status, 201);
assert.equal(made.data?.username, name);
const change = await cloakroom.changePassword({
  client: bob,
  body: { current_password: 'a long walk by the river', new_password: 'a short walk by the sea' },
});
assert.equal(change.response?.status, 204);
assert.equal((await cloakroom.getMe({ client: bob })).data?.id, made.data?.id);

// This user has neither of the roles that a proxy asks for.
const check = await cloakroom.forwardAuth({ client: bob, query: { role: ['wiki-editor', 'wiki-admin'] } });
assert.equal(check.error?.code, 'role_needed');

// This user signed in too long ago, so the client confirms the session and repeats the request.
assert.equal((await cloakroom.closeAccount({ client: bob })).error?.code, 'confirmation_required');
const confirmed = await cloakroom.confirmWithPassword({
  client: bob,
  body: { current_password: 'a short walk by the sea' },
});
assert.ok(confirmed.data?.confirmed_until);

// TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
const token = await cloakroom.createApiToken({ client: bob, body: { name: 'Nightly build' } });
assert.equal(token.response?.status, 201);
const onlyToken = ({ scheme }: { scheme?: string }) => (scheme === 'bearer' ? token.data?.token : undefined);
const program = createClient({ baseUrl, auth: onlyToken });
assert.equal((await cloakroom.readPrivate({ client: program })).data?.username, name);
const both = createClient({ baseUrl, auth: onlyToken, fetch: makeFetchCookie(fetch) });
const entered = await cloakroom.login({ client: both, body: { username, password } });
assert.equal(entered.data?.ok, true);
assert.equal((await cloakroom.getMe({ client: both })).data?.username, name);
// The documentation of the generator shows this form. It sends the token as the cookie, too.
const naive = createClient({ baseUrl, auth: () => token.data?.token });
assert.equal((await cloakroom.getMe({ client: naive })).data?.username, name);
await cloakroom.revokeApiToken({ client: bob, path: { id: token.data!.id } });
for (const client of [program, both, naive])
  assert.equal((await cloakroom.getMe({ client })).error?.code, 'token_refused');
assert.equal((await cloakroom.getMe({ client: bob })).data?.username, name);

// The confirmed session closes the account.
assert.equal((await cloakroom.closeAccount({ client: bob })).response?.status, 204);
assert.equal((await cloakroom.getMe({ client: bob })).error?.code, 'not_authenticated');

// A user confirms an address with the code from a mail, and sets a new password with the link from another.
const mailbox = process.env.MAILBOX;
if (mailbox) {
  const cleo = device();
  const email = `hey-${randomBytes(6).toString('hex')}@example.org`;
  const mailed = async (secret: string) => (await fetch(`${mailbox}/${secret}/${email}`)).text();
  const registration = { username: email.split('@')[0], password: 'a long walk by the river', email };
  const registered = await cloakroom.register({ client: cleo, body: registration });
  assert.equal(registered.data?.unconfirmed_email, email);
  const code = await mailed('code');
  assert.equal((await cloakroom.confirmEmail({ client: cleo, body: { code } })).data?.email, email);
  const forgetful = device();
  const requested = await cloakroom.requestPasswordReset({ client: forgetful, body: { username: email } });
  assert.equal(requested.response?.status, 202);
  const body = { token: await mailed('token'), new_password: 'a short walk by the sea' };
  assert.equal((await cloakroom.resetPassword({ client: forgetful, body })).response?.status, 204);
  assert.equal((await cloakroom.resetPassword({ client: forgetful, body })).error?.code, 'reset_refused');
  assert.equal((await cloakroom.getMe({ client: cleo })).error?.code, 'session_refused');
  const signIn = { username: email, password: body.new_password };
  assert.equal((await cloakroom.login({ client: forgetful, body: signIn })).data?.ok, true);
}
