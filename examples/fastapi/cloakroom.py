"""Users of Cloakroom as dependencies of FastAPI."""

import os
import re
from dataclasses import dataclass
from typing import Annotated

import httpx
import jwt  # PyJWT, with cryptography
from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

CLOAKROOM = os.environ.get("CLOAKROOM", "http://localhost:8000")  # its public_url
COOKIE = os.environ.get("SESSION_COOKIE", "session")  # behind https: __Host-session
AUDIENCE = os.environ.get("AUDIENCE", "http://localhost:9000")  # is in its tokens.audiences
ORIGINS = {AUDIENCE}  # whose pages may send requests with the cookie

client = httpx.AsyncClient(base_url=CLOAKROOM, timeout=5)
keys = jwt.PyJWKClient(f"{CLOAKROOM}/.well-known/jwks.json", lifespan=300)
session_cookie = APIKeyCookie(name=COOKIE, scheme_name="session", auto_error=False)
access_token = HTTPBearer(scheme_name="accessToken", bearerFormat="JWT", auto_error=False)


@dataclass
class User:
    id: str  # refer to users by this in your tables: it never changes
    username: str


async def current_user(request: Request, token: Annotated[str | None, Security(session_cookie)]) -> User:
    """The user of the session cookie. Asks Cloakroom, so it notices at once when the session ends."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("origin") not in (None, *ORIGINS):
        raise HTTPException(403, "Request from another origin")
    if not token:
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Cookie"})
    if not re.fullmatch(r"[\w.-]+", token, re.ASCII):  # not a JWT: nothing to ask
        raise HTTPException(403, "Invalid authentication")
    try:
        response = await client.get("/me", headers={"Cookie": f"{COOKIE}={token}"})
    except httpx.TransportError:
        raise HTTPException(503, "Cloakroom does not respond", {"Retry-After": "1"}) from None
    if response.status_code in (401, 403):
        raise HTTPException(403, "Invalid authentication")
    if response.status_code != 200:
        raise HTTPException(503, "Cloakroom does not respond", {"Retry-After": "1"})
    account = response.json()
    return User(account["id"], account["username"])


def token_account(sent: Annotated[HTTPAuthorizationCredentials | None, Security(access_token)]) -> str:
    """The account id of the access token. Verifies it by public keys, without a request to Cloakroom:
    the end of a session is noticed when the token expires, up to five minutes later."""
    if sent is None:
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    try:
        if jwt.get_unverified_header(sent.credentials).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("no access token")
        claims = jwt.decode(
            sent.credentials,
            keys.get_signing_key_from_jwt(sent.credentials),
            algorithms=["EdDSA"],
            audience=AUDIENCE,
            issuer=CLOAKROOM,
            # clocks differ, and PyJWT accepts no `iat` that is ahead: `exp` decides
            options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"], "verify_iat": False},
        )
    except jwt.PyJWKClientConnectionError:
        raise HTTPException(503, "Cloakroom does not respond", {"Retry-After": "1"}) from None
    except jwt.PyJWTError:
        raise HTTPException(401, "Invalid authentication", {"WWW-Authenticate": "Bearer"}) from None
    return claims["sub"]


CurrentUser = Annotated[User, Depends(current_user)]
TokenAccount = Annotated[str, Depends(token_account)]
REFUSALS = {401: {"description": "Not signed in"}, 403: {"description": "The session has ended"}}
