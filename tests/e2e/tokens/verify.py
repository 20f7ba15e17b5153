import jwt  # PyJWT, with cryptography


class Verifier:
    """Verifies the tokens that Cloakroom issues for this service."""

    def __init__(self, cloakroom: str, audience: str) -> None:
        self.cloakroom, self.audience = cloakroom, audience
        # fetches the keys once, keeps them for five minutes, and looks again for a `kid` that is new
        self.keys = jwt.PyJWKClient(f"{cloakroom}/.well-known/jwks.json", lifespan=300)

    def verify(self, token: str) -> dict:
        """The claims: `sub` is the id of the account, `roles` are its roles.

        Raises `jwt.PyJWTError` for any other token.
        """
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("no access token")
        return jwt.decode(
            token,
            self.keys.get_signing_key_from_jwt(token),
            algorithms=["EdDSA"],
            audience=self.audience,
            issuer=self.cloakroom,
            # clocks differ, and PyJWT accepts no `iat` that is ahead: `exp` decides
            options={
                "require": ["exp", "iat", "iss", "aud", "sub", "jti", "roles"],
                "verify_iat": False,
            },
        )
