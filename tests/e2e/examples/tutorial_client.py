"""Goes through docs/tutorial.md as a browser does: sign in by the form, sign the book, lose the session."""

import os
import re
from urllib.parse import urlencode

import httpx

cloakroom, app = os.environ["CLOAKROOM"], os.environ["AUDIENCE"]
PASSWORD = "a long walk by the river"

browser = httpx.Client(headers={"Accept": "text/html"})  # one jar: cookies are not separated by port
assert browser.post(f"{cloakroom}/register", json={"username": "ann", "password": PASSWORD}).status_code == 201
browser.cookies.clear()

# Not signed in: to the sign-in page, which knows where to lead back.
response = browser.get(app)
assert (response.status_code, response.headers["location"]) == (
    303,
    f"{cloakroom}/login?{urlencode({'next': app})}",
), response.headers
page = browser.get(response.headers["location"])
back = re.search(r'name="next" value="([^"]*)"', page.text)[1]
form = {"username": "ann", "password": PASSWORD, "next": back}
signed_in = browser.post(f"{cloakroom}/login", data=form, headers={"Origin": cloakroom})
assert signed_in.status_code == 200 and app in signed_in.text, signed_in.text

# The book.
assert "Hello ann" in browser.get(app).text
assert browser.post(app, data={"text": "<b>hi"}, headers={"Origin": app}).status_code == 303
assert "<li>&lt;b&gt;hi (ann)" in browser.get(app).text
assert browser.post(app, data={"text": "x"}, headers={"Origin": "https://evil.example"}).status_code == 403

# The session is ended from elsewhere.
other = httpx.Client()
assert other.post(f"{cloakroom}/login", json={"username": "ann", "password": PASSWORD}).status_code == 200
sessions = other.get(f"{cloakroom}/sessions").json()["sessions"]
mine = next(session for session in sessions if not session["current"])
assert other.delete(f"{cloakroom}/sessions/{mine['id']}").status_code == 204
assert browser.get(app).status_code == 303

# The form to sign out, which the app's page posts to Cloakroom.
browser.post(f"{cloakroom}/login", json={"username": "ann", "password": PASSWORD})
assert browser.get(app).status_code == 200
out = browser.post(f"{cloakroom}/logout", data={}, headers={"Origin": app})
assert out.status_code == 303, out.text
assert browser.get(app).status_code == 303
