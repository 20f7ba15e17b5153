"""Sends tokens to verify_only: the one that was issued for it, and others that differ in one thing each,
signed with the same key."""

import base64
import json
import os
import pathlib
import time
import urllib.error
import urllib.request

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

notes, reports = os.environ["NOTES_URL"], os.environ["REPORTS_URL"]
audience = "https://api.example.org"


def ask(url: str, body: object = None, headers: dict[str, str] = {}):
    """The status, and the answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | headers
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, None


def report(token: str):
    status, _, said = ask(f"{reports}/report", headers={"Authorization": f"Bearer {token}"})
    return status, said


_, headers, account = ask(f"{notes}/register", {"username": "tess", "password": "a long walk by the sea"})
cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
good = ask(f"{notes}/token", {"audience": audience}, cookie)[2]["access_token"]
assert report(good) == (200, {"account": account["id"]}), report(good)
assert ask(f"{reports}/report")[0] == 401

(pem,) = [path for path in pathlib.Path(os.environ["KEYS"]).iterdir() if path.suffix == ".pem"]
key = load_pem_private_key(pem.read_bytes(), None)
head = jwt.get_unverified_header(good)
claims = jwt.decode(good, options={"verify_signature": False})
now = int(time.time())


def signed(head: dict, claims: dict) -> str:
    return jwt.encode(claims, key, algorithm="EdDSA", headers=head)


def raw(claims: dict) -> str:
    """Signed by hand: PyJWT writes no `exp` that is not a number."""
    parts = [json.dumps(part).encode() for part in (head, claims)]
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts]
    signature = base64.urlsafe_b64encode(key.sign(b".".join(parts))).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


def without(name: str) -> dict:
    return {member: value for member, value in claims.items() if member != name}


for again in signed(head, claims), raw(claims):
    assert report(again)[0] == 200, "with the same header and claims it is as good"
tampered = good[:-2] + ("B" if good[-2] == "A" else "A") + good[-1]
session = cookie["Cookie"].split("=", 1)[1]
bad = {
    "tampered": tampered,
    "a session's": session,
    "no type": signed(head | {"typ": "JWT"}, claims),
    "the type of a session": signed(head | {"typ": "session+jwt"}, claims),
    "something critical": signed(head | {"crit": ["x"], "x": 1}, claims),
    "a key of nobody's": signed(head | {"kid": "nobody"}, claims),
    "past": signed(head, claims | {"iat": now - 301, "exp": now - 1}),
    "no end": signed(head, without("exp")),
    "an end in quotes": raw(claims | {"exp": str(claims["exp"])}),
    "from the future": signed(head, claims | {"iat": now + 3600, "exp": now + 3900}),
    "of another": signed(head, claims | {"iss": "https://evil.example"}),
    "of nobody": signed(head, without("iss")),
    "for another": signed(head, claims | {"aud": "https://other.example"}),
    "for several": signed(head, claims | {"aud": [audience, "https://other.example"]}),
    "for nobody": signed(head, without("aud")),
    "about nobody": signed(head, without("sub")),
    "unsigned": jwt.encode(claims, None, algorithm="none", headers=head | {"alg": "none"}),
    "no token": "x",
}
for name, token in bad.items():
    status, said = report(token)
    assert status == 401 and said is None, f"{name}: {status} {said}"
print(f"{len(bad)} tokens refused, one taken")
