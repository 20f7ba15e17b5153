// Starts Swagger UI, and keeps the line above it true: who is signed in, by the cookie that no script
// can see. A file of its own, because the page allows no inline script. Addresses are relative to
// /docs, so that the page works under a proxy's path, too.

const at = (id) => document.getElementById(id);
let username = at('who').dataset.username;

/** Shows who is signed in; nobody, if the name is empty. */
function show(name) {
  if (name === username) return;
  username = name;
  at('status').replaceChildren(...(name ? ['Signed in as ', strong(name), '.'] : ['Nobody is signed in.']));
  at('sign-in').hidden = Boolean(name);
  at('sign-out').hidden = !name;
}

function strong(text) {
  const element = document.createElement('strong');
  element.textContent = text;
  return element;
}

/** Asks the service who is signed in. */
async function refresh() {
  const answer = await fetch('me');
  if (answer.ok) show((await answer.json()).username);
  else if (answer.status < 500) show('');
}

/** What a problem says, field by field where it does. */
function inWords({ detail, errors = [] }) {
  return errors.length ? errors.map((error) => error.detail).join(' ') : detail;
}

/** Posts a form's fields as JSON, and says what was wrong. */
async function post(path, fields) {
  at('wrong').textContent = '';
  try {
    const answer = await fetch(path, {
      method: 'POST',
      ...(fields && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(fields) }),
    });
    if (answer.ok) return true;
    at('wrong').textContent = inWords(await answer.json());
  } catch {
    at('wrong').textContent = 'The service does not answer.';
  }
  return false;
}

at('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = { username: at('username').value, password: at('password').value };
  if (!(await post('login', fields))) return at('password').select();
  event.target.reset();
  await refresh();
  at('sign-out').querySelector('button').focus(); // the form that had the focus is gone
});

at('sign-out').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (!(await post('logout'))) return;
  show('');
  at('username').focus();
});

/** A Try-it-out may have signed somebody in or out. */
function noticed(answer) {
  const path = new URL(answer.url, location.href).pathname;
  const refused = answer.status === 401 || (answer.status === 403 && answer.obj?.code === 'session_refused');
  if (refused || (answer.ok && /\/(logout|me\/close)$/.test(path))) show('');
  else if (answer.ok && /\/(login|register)$/.test(path)) refresh();
  else if (answer.status === 204 && username && /\/sessions\/[^/]+$/.test(path)) refresh();
  return answer;
}

/** The operations are called beside this page: a proxy may have put it under a path of its own. */
const besideThisPage = () => ({
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
});

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: 'openapi.json',
  plugins: [besideThisPage],
  responseInterceptor: noticed,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  tryItOutEnabled: true,
  persistAuthorization: false, // true would write a cookie of its own, readable by scripts
  validatorUrl: null, // nothing is sent to strangers
});
