// The changelog names each operation that changed, and says what that means for its clients.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { changelog } from './changelog.mjs';

const today = new URL('../../../openapi/openapi.json', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'cloakroom-changelog.'));
after(() => rmSync(scratch, { recursive: true }));

function changelogOf(change) {
  const document = JSON.parse(readFileSync(today, 'utf8'));
  change(document);
  const changed = join(scratch, 'openapi.json');
  writeFileSync(changed, JSON.stringify(document));
  return changelog(today, changed);
}

test('a document without changes has an empty changelog', () => {
  assert.match(changelogOf(() => {}), /^# Changes of the document from 0\.1\.0 to 0\.1\.0\n\nNone\.\n$/);
});

test('each change stands under its operation', () => {
  const text = changelogOf(({ paths, components }) => {
    delete paths['/me'].get;
    paths['/login'].post.responses[418] = { description: 'I am a teapot.' };
    paths['/new'] = { get: { operationId: 'getNew', responses: { 200: { description: 'It is.' } } } };
    delete components.schemas.Session;
  });
  const sections = Object.fromEntries(
    text.split('\n## ').slice(1).map((section) => [section.split('\n')[0], section.split('\n').slice(2).join('\n')]),
  );
  assert.match(sections['getMe (`GET /me`)'], /was removed.* \(breaks clients\)/);
  assert.match(sections['login (`POST /login`)'], /^- `418` added \(compatible\)$/m);
  assert.ok(Object.keys(sections).some((title) => title.includes('/new')));
  assert.match(text, /schema Session is gone \(breaks clients\)/);
});
