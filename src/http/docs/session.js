// Keeps track of the signed-in user. Scripts cannot read the cookie, so the rendered page contains the user name at
// first, and the service is asked after each request that may have changed it. Addresses are relative to /docs, because
// a proxy may have put the page under a path.

const bar = document.getElementById('session');
const listeners = [];
let username = bar.dataset.username;

/** The name of the session cookie, which identifies the document's security scheme. */
export const cookieName = bar.dataset.cookie;

/** The user name of the session, or an empty string. */
export const getUsername = () => username;

/** Calls the function with the user name, now and after each change. */
export function onChange(listener) {
  listeners.push(listener);
  listener(username);
}

/** Moves the focus to the bar's button, because the element that had it may no longer exist. */
export const focusBar = () => bar.querySelector('form:not([hidden]) button').focus();

function setUsername(name) {
  if (name === username) return;
  username = name;
  for (const listener of listeners) listener(name);
}

/** Asks the service for the signed-in user; resolves to the status of the response. */
async function refresh() {
  const response = await fetch('me');
  if (response.ok) setUsername((await response.json()).username);
  else if ([401, 403].includes(response.status)) setUsername('');
  return response.status;
}

const NO_COOKIE = 'This browser kept no cookie, so you are not signed in: allow cookies for this site.';
const NOT_SENT = 'This browser keeps no cookies, so this request was not sent: allow cookies for this site.';
const TWO_COOKIES =
  `This browser sends two different cookies named ${cookieName}, so you are not signed in: ` +
  'delete the cookies of this site and of the sites around it, then sign in again.';

/** Shows an error in the bar, or none. */
export const showProblem = (problem) => (bar.querySelector('#problem').textContent = problem ?? '');

/** Operations that create a session. */
const SIGN_INS = ['login', 'register'];

/**
 * The reason not to send a request, if there is one: without cookies, nothing could end the session
 * that it creates.
 */
export function whyNotSent({ url, method }) {
  const isSignIn = SIGN_INS.some((path) => new URL(path, location.href).href === new URL(url, location.href).href);
  return isSignIn && method === 'POST' && !navigator.cookieEnabled ? NOT_SENT : undefined;
}

/** Signs in; resolves to an error message, or to nothing. */
export async function signIn(credentials) {
  if (!navigator.cookieEnabled) return NO_COOKIE; // nothing could end the session
  return (await post('login', credentials)) ?? confirmSession();
}

/** Checks the new session after a sign-in; resolves to an error message, or to nothing. */
async function confirmSession() {
  const status = await refresh().catch(() => 0);
  if (status === 200) return undefined;
  if (status === 401) return NO_COOKIE;
  if (status !== 403) return 'You may be signed in, but the service does not say so: load this page again.';
  await post('logout'); // ends the new session
  return TWO_COOKIES;
}

/** Signs out; resolves to an error message, or to nothing. */
export async function signOut() {
  const problem = await post('logout');
  if (!problem) setUsername('');
  return problem;
}

/** Called after an operation was tried out, because it may have created or ended a session. */
export async function noticeResponse({ operationId, method, response }) {
  const { status, ok } = response;
  if (ok && ['logout', 'closeAccount'].includes(operationId)) setUsername('');
  else if (ok && SIGN_INS.includes(operationId)) showProblem(await confirmSession());
  else if (ok ? method !== 'get' : username && [401, 403].includes(status)) refresh();
}

async function post(path, fields) {
  const headers = { 'Content-Type': 'application/json' };
  try {
    const response = await fetch(path, { method: 'POST', ...(fields && { headers, body: JSON.stringify(fields) }) });
    if (response.ok) return undefined;
    const { detail, errors = [] } = await response.json();
    return errors.length ? errors.map((error) => error.detail).join(' ') : detail;
  } catch {
    return 'The service does not answer.';
  }
}
