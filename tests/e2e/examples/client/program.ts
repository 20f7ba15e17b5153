import assert from 'node:assert/strict';
import makeFetchCookie from 'fetch-cookie';
import createClient from 'openapi-fetch';
import type { paths } from './notes.d.ts';

const baseUrl = process.env.NOTES_URL!;
const notes = createClient<paths>({ baseUrl, fetch: makeFetchCookie(fetch) });
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
  // A program reads the notes with an API token, and the statistics if the token has the role. It cannot write.
  const program = async (roles: string[]) => {
    const created = await notes.POST('/api-tokens', { body: { name: 'Nightly report', roles } });
    assert.equal(created.response.status, 201);
    const headers = { Authorization: `Bearer ${created.data?.token}` };
    return createClient<paths>({ baseUrl, headers });
  };
  const [reporter, reader] = [await program(['moderator']), await program([])];
  for (const one of [reporter, reader]) {
    assert.deepEqual((await one.GET('/notes')).data?.notes, [note]);
    assert.equal((await one.POST('/notes', { body: { text: 'x' } })).error?.code, 'token_refused');
    assert.equal((await one.GET('/draft')).error?.code, 'token_refused');
  }
  assert.equal((await reporter.GET('/statistics')).data?.notes, 1);
  assert.equal((await reader.GET('/statistics')).error?.code, 'role_needed');
  assert.equal((await notes.GET('/statistics')).data?.notes, 1);

  const gone = await notes.DELETE('/notes/{id}', { params: { path: { id: note.id } } });
  assert.equal(gone.response.status, 204);

  // Closing the account deletes its notes.
  await notes.POST('/notes', { body: { text: 'Never to be seen' } });
  await notes.DELETE('/me');
  assert.equal((await notes.GET('/notes')).error?.code, 'not_authenticated');
  for (const one of [reporter, reader])
    assert.equal((await one.GET('/notes')).error?.code, 'token_refused');
}
