// Starts Swagger UI and keeps the bar above it up to date. Scripts and styles are never inline, because the page's
// policy forbids it. Addresses are relative to /docs, so that the page also works under a proxy's path.

import { mendAccessibility } from './accessibility.js';
import { responsesPlugin } from './responses-plugin.js';
import { samplesPlugin } from './samples-plugin.js';
import { sessionPlugin } from './session-plugin.js';
import { focusBar, onChange, showProblem, signOut, whyNotSent } from './session.js';

const at = (id) => document.getElementById(id);

// Swagger UI has a dark color scheme, but the page has to choose it.
const dark = matchMedia('(prefers-color-scheme: dark)');
const chooseColors = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', chooseColors);
chooseColors();

mendAccessibility(at('swagger-ui'));

/** The operations are called relative to the page, because a proxy may have put it under a path. */
const serverPlugin = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (spec) => {
          const base = new URL('.', location.href).pathname;
          return update({ ...spec, servers: [{ url: base.replace(/(.)\/$/, '$1') }] });
        },
      },
    },
  },
  wrapComponents: { ServersContainer: () => () => null }, // there is only one server
};

/** A deep link ends below the bar: the browser applies the page's scroll padding. */
const scrollPlugin = {
  statePlugins: { layout: { wrapActions: { scrollToElement: () => (element) => element.scrollIntoView() } } },
};

const ui = SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: 'openapi.json',
  plugins: [serverPlugin, scrollPlugin, sessionPlugin, responsesPlugin, samplesPlugin],
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  tryItOutEnabled: true,
  persistAuthorization: false, // true would write a cookie that scripts can read
  requestInterceptor: (request) => {
    const reason = whyNotSent(request);
    if (!reason) return request;
    const error = Object.assign(new Error(reason), { name: 'Not sent' });
    return Object.assign(request, { userFetch: () => Promise.reject(error) });
  },
  validatorUrl: null, // nothing is sent to other origins
});

onChange((username) => {
  ui.sessionActions.setUsername(username);
  const name = document.createElement('strong');
  name.textContent = username;
  at('status').replaceChildren(...(username ? ['Signed in as ', name, '.'] : ['Not signed in.']));
  at('sign-in').hidden = Boolean(username);
  at('sign-out').hidden = !username;
  if (username) showProblem();
});

at('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  ui.authActions.showDefinitions(ui.authSelectors.definitionsToAuthorize());
});

at('sign-out').addEventListener('submit', async (event) => {
  event.preventDefault();
  const problem = await signOut();
  showProblem(problem);
  if (!problem) focusBar();
});
