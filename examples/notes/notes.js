// The page of a signed-in user: the notes, and the draft that the session keeps.

const at = (id) => document.getElementById(id);

/** Calls an operation, and shows the reason if it is refused. */
async function ask(method, path, body) {
  const headers = body ? { 'Content-Type': 'application/json' } : {};
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const json = answer.headers.get('Content-Type')?.includes('json') ? await answer.json() : undefined;
  at('wrong').textContent = answer.ok ? '' : json.detail;
  return answer.ok ? json : undefined;
}

async function show() {
  const { notes } = (await ask('GET', '/notes')) ?? { notes: [] };
  at('notes').replaceChildren(...notes.map((note) => {
    const item = document.createElement('li');
    item.textContent = note.text;
    return item;
  }));
}

at('write').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (await ask('POST', '/notes', { text: at('text').value })) event.target.reset();
  await show();
});

at('text').addEventListener('change', () => ask('PUT', '/draft', { text: at('text').value }));

at('text').value = (await ask('GET', '/draft'))?.text ?? '';
await show();
