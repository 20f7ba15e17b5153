// Verifies tokens of the running service with jose: the valid one is accepted, all others are
// refused.
import assert from 'node:assert/strict';

import { verifier } from './verify.ts';

const cloakroom = process.env.CLOAKROOM_URL!;
const tokens = JSON.parse(process.env.TOKENS!);

assert.deepEqual(await verifier(cloakroom, 'https://api.example.org')(tokens.good), {
  account: tokens.sub,
  roles: ['admin'],
});

for (const [audience, token] of [
  ['https://api.example.org', tokens.for_others],
  ['reports', tokens.good],
  ['https://api.example.org', tokens.tampered],
  ['https://api.example.org', tokens.session],
  [cloakroom, tokens.session],
]) {
  await assert.rejects(verifier(cloakroom, audience)(token), /^JW[ST]/, `taken for ${audience}: ${token}`);
}
