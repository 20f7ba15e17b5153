// Swagger UI's padlocks, its button Authorize and the dialog, driven by the session. Swagger UI would treat any text
// typed for the cookie as an authorization, although a browser lets no page send a cookie, and it would not notice a
// real sign-in. Other security schemes of an embedding service stay unchanged.

import { cookieName, focusBar, getUsername, noticeResponse, signIn, signOut } from './session.js';

const isSessionScheme = (scheme) =>
  scheme.get('type') === 'apiKey' && scheme.get('in') === 'cookie' && scheme.get('name') === cookieName;

/** The name of the document's security scheme for the session. */
const sessionScheme = (system) => system.specSelectors.securityDefinitions()?.findKey(isSessionScheme);

/** An operation of the document. */
const findOperation = (system, path, method) => system.specSelectors.specJson().getIn(['paths', path, method]);

/** The options with which curl keeps and sends the cookie as the browser does. */
function curlOptions(system, operation) {
  const scheme = sessionScheme(system);
  const needsCookie = operation.get('security')?.some((schemes) => schemes.has(scheme)) || operation.get('operationId') === 'logout';
  const setsCookie = operation.get('responses')?.some((response, status) => status.startsWith('2') && response.hasIn(['headers', 'Set-Cookie']));
  return [...(needsCookie ? ['-b', 'cookies.txt'] : []), ...(setsCookie ? ['-c', 'cookies.txt'] : [])];
}

/** The user name is in Swagger UI's store, so that components that show it are rendered again when it changes. */
const session = {
  actions: { setUsername: (username) => ({ type: 'session_set_username', payload: username }) },
  reducers: { session_set_username: (state, { payload }) => state.set('username', payload) },
  selectors: { username: (state) => state.get('username') ?? '' },
};

const auth = {
  wrapSelectors: {
    /**
     * Whether one of the operation's security requirements is met. An operation that allows
     * requests without a session does not close the padlock for that.
     */
    isAuthorized: (original, system) => (state, requirements) => {
      const authorized = system.authSelectors.authorized();
      const scheme = sessionScheme(system);
      const isMet = (_, name) => (name === scheme ? Boolean(system.sessionSelectors.username()) : authorized.has(name));
      return Boolean(requirements?.some((schemes) => schemes.size > 0 && schemes.every(isMet)));
    },
  },
};

const spec = {
  wrapActions: {
    setMutatedRequest: (original, system) => (path, method, request) =>
      original(path, method, { ...request, curlOptions: curlOptions(system, findOperation(system, path, method)) }),
    setResponse: (original, system) => (path, method, response) => {
      original(path, method, response);
      const operationId = findOperation(system, path, method).get('operationId');
      noticeResponse({ operationId, method, response: response.err?.response ?? response });
    },
  },
};

/** The dialog's title and the label of its button. */
function titleOf(system, hasSession, hasOthers) {
  const username = system.sessionSelectors.username();
  if (hasOthers || !hasSession) return 'Authorize';
  return username ? `Signed in as ${username}` : 'Sign in';
}

/** The button above the operations: closed when there is a session or another authorization. */
const AuthorizeButton = (Original, system) => ({ isAuthorized, showPopup, onClick }) => {
  const { createElement: h } = system.React;
  const isClosed = isAuthorized || Boolean(system.sessionSelectors.username());
  const Icon = system.getComponent(isClosed ? 'LockAuthIcon' : 'UnlockAuthIcon', true);
  const Popup = system.getComponent('authorizationPopup', true);
  const scheme = sessionScheme(system);
  const hasOthers = system.specSelectors.securityDefinitions().some((_, name) => name !== scheme);
  return h(
    'div',
    { className: 'auth-wrapper' },
    h('button', { type: 'button', className: `btn authorize ${isClosed ? 'locked' : 'unlocked'}`, onClick },
      h('span', null, titleOf(system, Boolean(scheme), hasOthers)),
      h(Icon)),
    showPopup && h(Popup),
  );
};

/** The padlock of an operation, with a label that says what it does. */
const Padlock = (Original, system) => ({ isAuthorized, onClick }) => {
  const Icon = system.getComponent(isAuthorized ? 'LockAuthOperationIcon' : 'UnlockAuthOperationIcon', true);
  return system.React.createElement(
    'button',
    {
      type: 'button',
      className: 'authorization__btn',
      'aria-label': isAuthorized ? 'Authorized: show how' : 'Needs authorization: sign in',
      onClick: (event) => {
        event.stopPropagation();
        onClick?.();
      },
    },
    system.React.createElement(Icon, { className: isAuthorized ? 'locked' : 'unlocked' }),
  );
};

/** The dialog: signs in and out, and accepts the values of other security schemes. */
function AuthorizationDialog(Original, system) {
  const { createElement: h, useEffect, useRef, useState } = system.React;

  function SignInForm({ close }) {
    const [problem, setProblem] = useState('');
    const password = useRef(null);
    async function submit(event) {
      event.preventDefault();
      setProblem('');
      const wrong = await signIn(Object.fromEntries(new FormData(event.target)));
      if (!wrong) return close();
      setProblem(wrong);
      password.current?.select();
    }
    const field = (name, label, options) => [
      h('label', { key: `${name} label`, htmlFor: name }, label),
      h('input', { key: name, id: name, name, required: true, ...options }),
    ];
    return h(
      'form',
      { method: 'post', action: 'login', onSubmit: submit },
      field('username', 'User name', { autoComplete: 'username', autoCapitalize: 'none', spellCheck: false, autoFocus: true }),
      field('password', 'Password', { type: 'password', autoComplete: 'current-password', ref: password }),
      h('p', { role: 'alert' }, problem),
      h('p', { className: 'dialog-buttons' },
        h('button', { type: 'submit' }, 'Sign in'),
        h('button', { type: 'button', className: 'secondary', onClick: close }, 'Cancel')),
    );
  }

  function SignedIn({ close, username }) {
    const [problem, setProblem] = useState('');
    // React's `autoFocus` runs before the dialog is shown, and would then focus the button to sign out.
    const focused = (button) => button?.setAttribute('autofocus', '');
    async function leave() {
      const wrong = await signOut();
      if (wrong) setProblem(wrong);
      else close();
    }
    return h(
      'div',
      null,
      h('p', null, `You are signed in as ${username}. The browser sends the session cookie with every operation that needs it.`),
      h('p', { role: 'alert' }, problem),
      h('p', { className: 'dialog-buttons' },
        h('button', { type: 'button', onClick: leave }, 'Sign out'),
        h('button', { type: 'button', className: 'secondary', onClick: close, ref: focused }, 'Close')),
    );
  }

  return function Dialog({ authActions, authSelectors, errSelectors, specSelectors, getComponent, fn }) {
    const dialog = useRef(null);
    useEffect(() => dialog.current.showModal(), []);
    const scheme = sessionScheme(system);
    const shown = authSelectors.shownDefinitions();
    const others = shown.map((schemes) => schemes.delete(scheme)).filter((schemes) => schemes.size > 0);
    const isOfSession = shown.some((schemes) => schemes.has(scheme));
    const username = getUsername();
    const Auths = getComponent('auths');
    // Closed by the element itself, so that the focus returns to the button that opened it.
    const close = () => dialog.current?.close();
    function closed() {
      authActions.showDefinitions(false);
      if (!document.activeElement?.offsetParent) focusBar(); // the button that opened it no longer exists
    }
    return h(
      'dialog',
      { ref: dialog, className: 'authorization-dialog', 'aria-labelledby': 'authorization-title', onClose: closed },
      h('h2', { id: 'authorization-title' }, titleOf(system, isOfSession, others.size > 0)),
      isOfSession && h(username ? SignedIn : SignInForm, { close, username }),
      others.valueSeq().map((definitions, key) =>
        h(Auths, { key, AST: fn.AST ?? {}, definitions, getComponent, errSelectors, authSelectors, authActions, specSelectors })),
    );
  };
}

export const sessionPlugin = {
  statePlugins: { session, auth, spec },
  wrapComponents: {
    authorizeBtn: AuthorizeButton,
    authorizeOperationBtn: Padlock,
    authorizationPopup: AuthorizationDialog,
  },
};
