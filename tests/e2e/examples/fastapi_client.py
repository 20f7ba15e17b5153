"""Uses examples/fastapi as a browser and as a client with an access token; then ends the session."""

import os
import time

import httpx

cloakroom, service = os.environ["CLOAKROOM"], os.environ["AUDIENCE"]
PASSWORD = "a long walk by the river"

user = httpx.Client()  # one jar for both: cookies are not separated by port
other = httpx.Client()
assert user.post(f"{cloakroom}/register", json={"username": "bob", "password": PASSWORD}).status_code == 201
account = user.get(f"{cloakroom}/me").json()

# The document has both padlocks, at the operations that need them.
document = user.get(f"{service}/openapi.json").json()
schemes = document["components"]["securitySchemes"]
assert schemes["session"] == {"type": "apiKey", "in": "cookie", "name": "session"}, schemes
assert schemes["accessToken"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}, schemes
assert document["paths"]["/private"]["get"]["security"] == [{"session": []}]
assert document["paths"]["/reports"]["get"]["security"] == [{"accessToken": []}]

# The cookie.
assert user.get(f"{service}/private").json() == {"username": "bob", "private": "get some private data"}
assert user.post(f"{service}/reports?text=x").json() == {"owner": account["id"], "text": "x"}
assert user.post(f"{service}/reports?text=x", headers={"Origin": service}).status_code == 201
assert user.post(f"{service}/reports?text=x", headers={"Origin": "https://evil.example"}).status_code == 403
assert other.get(f"{service}/private").status_code == 401
assert other.get(f"{service}/private").json() == {"detail": "Not authenticated"}
for wrong in ("x", "a=b", "é".encode()):
    value = b"session=" + (wrong if isinstance(wrong, bytes) else wrong.encode())
    assert other.get(f"{service}/private", headers={"Cookie": value}).status_code == 403, wrong

# The access token; no other one counts.
token = user.post(f"{cloakroom}/token", json={"audience": service}).json()["access_token"]
bearer = {"Authorization": f"Bearer {token}"}
assert other.get(f"{service}/reports", headers=bearer).json() == {"owner": account["id"]}
elsewhere = user.post(f"{cloakroom}/token", json={"audience": "elsewhere"}).json()["access_token"]
session = user.cookies["session"]
tampered = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
for refused in (elsewhere, session, tampered, "x"):
    response = other.get(f"{service}/reports", headers={"Authorization": f"Bearer {refused}"})
    assert response.status_code == 401, refused
assert other.get(f"{service}/reports").status_code == 401
assert other.get(f"{service}/private", headers=bearer).status_code == 401

# The session ends: the cookie is refused from the next request on, the token until it expires is not.
before = time.monotonic()
assert user.post(f"{cloakroom}/logout").status_code == 204
late = other.get(f"{service}/private", headers={"Cookie": f"session={session}"})
assert (late.status_code, late.json()) == (403, {"detail": "Invalid authentication"})
assert time.monotonic() - before < 60
assert other.get(f"{service}/reports", headers=bearer).status_code == 200
