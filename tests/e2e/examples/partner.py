"""Signs users in at examples/partner with tokens of the partner, and with tokens that must not sign anyone in."""

import json
import os
import time
import urllib.error
import urllib.request

import jwt

shop, secret = os.environ["SHOP_URL"], os.environ["PARTNER_SECRET"]


def ask(path: str, body: object = None, cookie: str | None = None, method: str | None = None):
    """The status, the headers and the body of the response."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{shop}{path}", data, headers, method=method)) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.load(error)


def cookies_of(headers) -> str:
    return "; ".join(value.split(";")[0] for value in headers.get_all("Set-Cookie"))


def token(changes: dict = {}, key: str = secret) -> dict[str, str]:
    claims = {"sub": "partner-7", "aud": "https://shop.example.org", "exp": time.time() + 60} | changes
    return {"token": jwt.encode(claims, key, "HS256")}


def assert_refused(body: dict[str, str], why: str) -> None:
    status, headers, problem = ask("/partner/session", body)
    assert (status, problem["code"]) == (403, "partner_refused"), (why, status, problem)
    assert headers["Set-Cookie"] is None, why


assert_refused(token(), "no account is linked")
_, headers, account = ask("/register", {"username": "pat", "password": "a long walk by the sea"})
with_password = cookies_of(headers)
assert ask("/partner/link", token())[0] == 401
assert ask("/partner/link", token(), with_password)[0] == 204

status, headers, _ = ask("/partner/session", token())
assert status == 204, status
by_partner = cookies_of(headers)
status, _, me = ask("/me", cookie=by_partner)
assert (status, me["id"]) == (200, account["id"]), (status, me)
assert len(ask("/sessions", cookie=by_partner)[2]["sessions"]) == 2

assert_refused(token(key="x" * 32), "another key")
assert_refused(token({"exp": time.time() - 3600}), "expired")
assert_refused(token({"aud": "https://other.example.org"}), "for another service")
assert_refused(token({"sub": "partner-8"}), "another user of the partner")

assert ask("/me", cookie=by_partner, method="DELETE")[0] == 204
assert_refused(token(), "the account is closed")
assert ask("/me", cookie=with_password)[0] in (401, 403)
