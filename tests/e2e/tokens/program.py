"""Verifies tokens of the running service with PyJWT: the good one is taken, all others are refused."""

import json
import os

import jwt

from verify import Verifier

cloakroom = os.environ["CLOAKROOM_URL"]
tokens = json.loads(os.environ["TOKENS"])

claims = Verifier(cloakroom, "https://api.example.org").verify(tokens["good"])
assert claims["sub"] == tokens["sub"]
assert claims["roles"] == ["admin"]

for audience, token in [
    ("https://api.example.org", tokens["for_others"]),
    ("reports", tokens["good"]),
    ("https://api.example.org", tokens["tampered"]),
    ("https://api.example.org", tokens["session"]),
    (cloakroom, tokens["session"]),
]:
    try:
        Verifier(cloakroom, audience).verify(token)
    except jwt.PyJWTError:
        continue
    raise AssertionError(f"taken for {audience}: {token}")
