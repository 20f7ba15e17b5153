import { createRemoteJWKSet, jwtVerify } from 'jose';

/** Says which account sent a token that Cloakroom issued for this service; rejects any other token. */
export function verifier(
  cloakroom: string,
  audience: string,
): (token: string) => Promise<{ account: string; roles: string[] }> {
  // fetches the keys once, keeps them, and looks again for a `kid` that is new
  const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', cloakroom));
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      issuer: cloakroom,
      audience,
      typ: 'at+jwt',
      algorithms: ['EdDSA'],
      requiredClaims: ['exp', 'iat', 'sub', 'jti', 'roles'],
    });
    return { account: payload.sub!, roles: payload.roles as string[] };
  };
}
