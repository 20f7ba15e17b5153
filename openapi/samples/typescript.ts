// The samples of each operation in `x-codeSamples`, for the client of openapi-typescript and
// openapi-fetch. The document shows the lines between "sample" and "end"; `runSamples` runs all of
// them against a service in every test run. `cloakroom` is the client that the sample of login makes.
import assert from 'node:assert/strict';
import makeFetchCookie from 'fetch-cookie';
import createClient from 'openapi-fetch';
import type { paths } from './cloakroom.d.ts';

type Client = ReturnType<typeof createClient<paths>>;

async function login(baseUrl: string, username: string, password: string) {
  // sample login
  const cloakroom = createClient<paths>({ baseUrl, fetch: makeFetchCookie(fetch) }); // keeps the cookie
  const { data, error } = await cloakroom.POST('/login', { body: { username, password } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`Signed in until ${data.session.expires_at}.`);
  // end
  return cloakroom;
}

async function register(baseUrl: string, username: string, password: string) {
  const cloakroom = createClient<paths>({ baseUrl, fetch: makeFetchCookie(fetch) });
  // sample register
  const { data, error } = await cloakroom.POST('/register', { body: { username, password } });
  if (error?.code === 'policy_violation') console.log(error.errors); // what to change in which field
  else if (error) throw new Error(`${error.code}: ${error.title}`);
  else console.log(`Registered and signed in as ${data.username}.`);
  // end
  assert.equal(data?.username, username);
  return cloakroom;
}

async function readPrivate(cloakroom: Client) {
  // sample readPrivate
  const { data, error } = await cloakroom.GET('/private');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(data.private);
  // end
}

async function getSession(cloakroom: Client) {
  // sample getSession
  const { data: session, error } = await cloakroom.GET('/session');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`This session ends at ${session.expires_at}.`);
  // end
}

async function confirmWithPassword(cloakroom: Client, current_password: string) {
  // sample confirmWithPassword
  const { data: session, error } = await cloakroom.POST('/session/confirm/password', {
    body: { current_password },
  });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`Confirmed until ${session.confirmed_until}.`); // repeat what required it
  // end
}

async function listSessions(cloakroom: Client) {
  // sample listSessions
  let cursor: string | undefined;
  do {
    const { data, error } = await cloakroom.GET('/sessions', { params: { query: { limit: 50, cursor } } });
    if (error) throw new Error(`${error.code}: ${error.title}`);
    for (const session of data.sessions) console.log(session.id, session.browser, session.last_seen_at);
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
  // end
}

async function revokeSession(cloakroom: Client, id: string) {
  // sample revokeSession
  const { error } = await cloakroom.DELETE('/sessions/{id}', { params: { path: { id } } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  // end
}

async function revokeOtherSessions(cloakroom: Client) {
  // sample revokeOtherSessions
  const { data, error } = await cloakroom.DELETE('/sessions');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`Ended ${data.revoked} other sessions.`);
  // end
}

async function getMe(cloakroom: Client) {
  // sample getMe
  const { data: account, error } = await cloakroom.GET('/me');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`${account.username}, since ${account.created_at}.`);
  // end
}

async function updateMe(cloakroom: Client, display_name: string) {
  // sample updateMe
  const { data: account, error } = await cloakroom.PATCH('/me', { body: { display_name } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`Shown as ${account.display_name}.`);
  // end
}

async function changePassword(cloakroom: Client, current_password: string, new_password: string) {
  // sample changePassword
  const { error } = await cloakroom.PUT('/me/password', { body: { current_password, new_password } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  // end
}

async function changeEmail(cloakroom: Client, email: string) {
  // sample changeEmail
  const { error } = await cloakroom.PUT('/me/email', { body: { email } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(`A code is on its way to ${email}.`);
  // end
}

async function confirmEmail(cloakroom: Client, code: string) {
  // sample confirmEmail
  const { data: account, error } = await cloakroom.POST('/me/email/confirm', { body: { code } });
  console.log(error ? error.code : `Confirmed ${account.email}.`); // code_refused: let the user check it
  // end
  assert.equal(error?.code, 'code_refused');
}

async function requestPasswordReset(cloakroom: Client, username: string) {
  // sample requestPasswordReset
  const { error } = await cloakroom.POST('/password-reset', { body: { username } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log('If the account has an address, a link is on its way.');
  // end
}

async function resetPassword(cloakroom: Client, token: string, new_password: string) {
  // sample resetPassword
  const { error } = await cloakroom.POST('/password-reset/confirm', { body: { token, new_password } });
  console.log(error ? error.code : 'The new password is set. Sign in with it.'); // reset_refused: request another link
  // end
  assert.equal(error?.code, 'reset_refused');
}

async function closeAccount(cloakroom: Client) {
  // sample closeAccount
  const { error } = await cloakroom.DELETE('/me');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  // end
}

async function createApiToken(cloakroom: Client, baseUrl: string) {
  // sample createApiToken
  const { data: created, error } = await cloakroom.POST('/api-tokens', {
    body: { name: 'Nightly build', expires_in_days: 30 },
  });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  // A program sends the token instead of a cookie.
  const headers = { Authorization: `Bearer ${created.token}` };
  const program = createClient<paths>({ baseUrl, headers });
  const { data: secret } = await program.GET('/private');
  // end
  assert.equal(secret?.private, 'get some private data');
  return created.id;
}

async function listApiTokens(cloakroom: Client) {
  // sample listApiTokens
  let cursor: string | undefined;
  do {
    const { data, error } = await cloakroom.GET('/api-tokens', { params: { query: { limit: 50, cursor } } });
    if (error) throw new Error(`${error.code}: ${error.title}`);
    for (const token of data.api_tokens) console.log(token.id, token.name, token.expires_at, token.last_used_at);
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
  // end
}

async function revokeApiToken(cloakroom: Client, id: string) {
  // sample revokeApiToken
  const { error } = await cloakroom.DELETE('/api-tokens/{id}', { params: { path: { id } } });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  // end
}

async function issueToken(cloakroom: Client) {
  // sample issueToken
  const { data: token, error } = await cloakroom.POST('/token', {
    body: { audience: 'https://api.example.org' },
  });
  if (error) throw new Error(`${error.code}: ${error.title}`);
  const headers = { Authorization: `Bearer ${token.access_token}` }; // for the API, for `expires_in` seconds
  // end
  assert.match(headers.Authorization, /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/);
}

async function getJwks(cloakroom: Client) {
  // sample getJwks
  const { data, error } = await cloakroom.GET('/.well-known/jwks.json');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(data.keys.map((key) => key.kid));
  // end
}

async function forwardAuth(cloakroom: Client) {
  // sample forwardAuth
  const { response, error } = await cloakroom.GET('/forward-auth');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  console.log(response.headers.get('Remote-User'));
  // end
}

async function getLiveness(cloakroom: Client) {
  // sample getLiveness
  const { response } = await cloakroom.GET('/livez');
  console.log(response.ok ? 'The process answers.' : 'The process does not answer.');
  // end
  assert.ok(response.ok);
}

async function getReadiness(cloakroom: Client) {
  // sample getReadiness
  const { error } = await cloakroom.GET('/readyz');
  console.log(error ? `Not ready: ${error.detail}` : 'Ready.');
  // end
  assert.ok(!error);
}

async function logout(cloakroom: Client) {
  // sample logout
  const { error } = await cloakroom.POST('/logout');
  if (error) throw new Error(`${error.code}: ${error.title}`);
  // end
}

/** Runs every sample against a service where this user name is free. */
export async function runSamples(baseUrl: string, username: string) {
  const [password, new_password] = ['a long walk by the river', 'a short walk by the sea'];
  const first = await register(baseUrl, username, password);
  const cloakroom = await login(baseUrl, username, password);
  const { data } = await first.GET('/session');
  await readPrivate(cloakroom);
  await getSession(cloakroom);
  await confirmWithPassword(cloakroom, password);
  await listSessions(cloakroom);
  await getMe(cloakroom);
  await updateMe(cloakroom, 'Alice Liddell');
  await changeEmail(cloakroom, `${username}@example.org`);
  await confirmEmail(cloakroom, '00000-00000'); // the right code is in the mail
  await requestPasswordReset(cloakroom, username);
  const mailed = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'; // the right token is in the mail
  await resetPassword(cloakroom, mailed, 'a long walk by the river');
  await forwardAuth(cloakroom);
  await issueToken(cloakroom);
  await getJwks(cloakroom);
  const token = await createApiToken(cloakroom, baseUrl);
  await listApiTokens(cloakroom);
  await revokeApiToken(cloakroom, token);
  assert.deepEqual((await cloakroom.GET('/api-tokens')).data?.api_tokens, []);
  await getLiveness(cloakroom);
  await getReadiness(cloakroom);
  await revokeSession(cloakroom, data!.id);
  assert.equal((await first.GET('/private')).error?.code, 'session_refused');
  await login(baseUrl, username, password);
  await revokeOtherSessions(cloakroom);
  await changePassword(cloakroom, password, new_password);
  const last = await login(baseUrl, username, new_password);
  await logout(cloakroom);
  assert.equal((await cloakroom.GET('/private')).error?.code, 'not_authenticated');
  await closeAccount(last);
  assert.equal((await last.GET('/me')).error?.code, 'not_authenticated');
}
