// Starts Swagger UI, and keeps the bar above it true. No script and no style is inline: the page's policy
// allows none. Addresses are relative to /docs, so that the page works under a proxy's path, too.

import { mendAccessibility } from './accessibility.js';
import { responsesPlugin } from './responses-plugin.js';
import { samplesPlugin } from './samples-plugin.js';
import { sessionPlugin } from './session-plugin.js';
import { focusBar, onChange, showProblem, signOut, whyNotSent } from './session.js';

const at = (id) => document.getElementById(id);

// Swagger UI has colors for the dark, and leaves it to its page to choose them.
const dark = matchMedia('(prefers-color-scheme: dark)');
const chooseColors = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', chooseColors);
chooseColors();

mendAccessibility(at('swagger-ui'));

/** The operations are called from where the page is: a proxy may have put it under a path of its own. */
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
  wrapComponents: { ServersContainer: () => () => null }, // there is one server, and no choice
};

/** A deep link ends below the bar: the browser scrolls, which knows the page's scroll padding. */
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
  persistAuthorization: false, // true would write a cookie of its own, readable by scripts
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
