import assert from 'node:assert/strict';
import makeFetchCookie from 'fetch-cookie';
import createClient from 'openapi-fetch';
import type { paths } from './notes.d.ts';

const notes = createClient<paths>({ baseUrl: process.env.NOTES_URL!, fetch: makeFetchCookie(fetch) });
const body = { username: 'ann', password: 'a long walk by the river' };

assert.equal((await notes.GET('/notes')).error?.code, 'not_authenticated');
const isFirst = process.argv[2] === 'first';
if (isFirst) {
  assert.equal((await notes.POST('/register', { body })).data?.username, 'ann');
  assert.deepEqual((await notes.GET('/notes')).data?.notes, []);

  // The draft belongs to the session, and is empty after the note is written.
  assert.equal((await notes.GET('/draft')).data?.text, '');
  await notes.PUT('/draft', { body: { text: 'Buy' } });
  assert.equal((await notes.GET('/draft')).data?.text, 'Buy');
  const written = await notes.POST('/notes', { body: { text: 'Buy milk' } });
  assert.equal(written.data?.text, 'Buy milk');
  assert.equal((await notes.GET('/draft')).data?.text, '');
} else {
  assert.equal((await notes.POST('/login', { body })).data?.ok, true);
}
const [note, ...others] = (await notes.GET('/notes')).data?.notes ?? [];
assert.equal(note?.text, 'Buy milk');
assert.deepEqual(others, []);

// A refusal names the invalid field.
const long = await notes.POST('/notes', { body: { text: 'x'.repeat(1001) } });
assert.equal(long.error?.code, 'invalid_request');
assert.deepEqual(long.error?.errors?.map(({ field, code }) => [field, code]), [['text', 'too_long']]);
const none = await notes.DELETE('/notes/{id}', { params: { path: { id: 'none' } } });
assert.equal(none.error?.code, 'no_such_note');

if (!isFirst) {
  const gone = await notes.DELETE('/notes/{id}', { params: { path: { id: note.id } } });
  assert.equal(gone.response.status, 204);

  // Closing the account deletes its notes.
  await notes.POST('/notes', { body: { text: 'Never to be seen' } });
  await notes.DELETE('/me');
  assert.equal((await notes.GET('/notes')).error?.code, 'not_authenticated');
}
