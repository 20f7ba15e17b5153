// Tests of the comparison: it fails for changes that break a client, and for no others.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { changes, impact, owns } from './compare.mjs';

const today = new URL('../../../openapi/openapi.json', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'cloakroom-compare.'));
after(() => rmSync(scratch, { recursive: true }));

/** The result for today's document after a change. */
function impactOf(change) {
  const document = JSON.parse(readFileSync(today, 'utf8'));
  change(document, document.components.schemas, document.paths);
  const changed = join(scratch, 'openapi.json');
  writeFileSync(changed, JSON.stringify(document));
  return impact(changes(today, changed));
}

describe('breaks clients', () => {
  const breaking = {
    'an operation is gone': (_, __, paths) => delete paths['/private'].get,
    'an operation has another name': (_, __, paths) => (paths['/private'].get.operationId = 'renamed'),
    'an operation has another tag': (_, __, paths) => (paths['/private'].get.tags = ['Sessions']),
    'an operation wants a cookie now': (_, __, paths) => (paths['/login'].post.security = [{ session: [] }]),
    'a success has another status': (_, __, paths) => {
      const { responses } = paths['/login'].post;
      responses[202] = responses[200];
      delete responses[200];
    },
    'a success has no Set-Cookie': (_, __, paths) => delete paths['/login'].post.responses[200].headers['Set-Cookie'],
    'a refusal has another media type': (_, __, paths) => {
      const { content } = paths['/login'].post.responses[403];
      content['application/json'] = content['application/problem+json'];
      delete content['application/problem+json'];
    },
    'a field of an answer is gone': (_, { Session }) => delete Session.properties.browser,
    'a field of an answer may be missing': (_, { Session }) => Session.required.shift(),
    'a field of an answer has another type': (_, { Session }) => (Session.properties.current.type = 'string'),
    'a field must be sent': (_, { Credentials }) => Credentials.required.push('remember'),
    'a field cannot be sent any more': (_, { Credentials }) => delete Credentials.properties.remember,
    'less may be sent': (_, { Registration }) => (Registration.properties.password.maxLength = 64),
    'a schema has another name': (document, schemas) => {
      schemas.Refusal = schemas.Problem;
      delete schemas.Problem;
      const renamed = JSON.stringify(document).replaceAll('schemas/Problem"', 'schemas/Refusal"');
      Object.assign(document, JSON.parse(renamed));
    },
    'a code is gone': (_, { ProblemCode }) => ProblemCode['x-extensible-enum'].shift(),
    'codes are a closed set': (_, { ProblemCode }) => (ProblemCode.enum = ProblemCode['x-extensible-enum']),
    'the cookie has another name': (document) => (document.components.securitySchemes.session.name = 'sid'),
  };
  for (const [name, change] of Object.entries(breaking))
    test(name, () => assert.equal(impactOf(change), 'major'));
});

describe('breaks nobody', () => {
  const harmless = {
    'a new operation': (_, __, paths) => {
      paths['/secret'] = { get: { ...paths['/private'].get, operationId: 'readSecret' } };
    },
    'a new refusal': (_, __, paths) => {
      const { responses } = paths['/login'].post;
      responses[418] = responses[403];
    },
    'a new field in an answer': (_, { Session }) => (Session.properties.place = { type: 'string' }),
    'a new field that may be sent': (_, { Credentials }) => (Credentials.properties.otp = { type: 'string' }),
    'a new code': (_, { ProblemCode }) => ProblemCode['x-extensible-enum'].push('too_tired'),
    'other words': (document) => (document.info.description = 'The same in other words.'),
    'nothing but the version': (document) => (document.info.version = '9.9.9'),
  };
  for (const [name, change] of Object.entries(harmless))
    test(name, () => assert.notEqual(impactOf(change), 'major'));
});

test('the version owns up to what has changed', () => {
  assert.ok(owns('0.1.0', '0.1.0', 'none'));
  assert.ok(!owns('0.1.0', '0.1.0', 'patch'));
  assert.ok(owns('0.1.0', '0.1.1', 'minor'));
  assert.ok(!owns('0.1.0', '0.1.1', 'major'));
  assert.ok(owns('0.1.9', '0.2.0', 'major'));
  assert.ok(owns('0.9.0', '1.0.0', 'major'));
  assert.ok(owns('1.2.3', '1.3.0', 'minor'));
  assert.ok(!owns('1.2.3', '1.3.0', 'major'));
  assert.ok(owns('1.2.3', '2.0.0', 'major'));
  assert.ok(!owns('0.2.0', '0.1.9', 'none'));
});
