"""A guest book with sign-in by Cloakroom. Python's standard library is all it needs."""

import html
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLOAKROOM, HERE = sys.argv[1:] or ("http://localhost:8000", "http://localhost:9000")
SIGN_IN = f"{CLOAKROOM}/login?{urllib.parse.urlencode({'next': HERE})}"
entries = []


def current_user(cookies):
    """Asks Cloakroom which user these cookies belong to. None: no user is signed in."""
    request = urllib.request.Request(f"{CLOAKROOM}/me", headers={"Cookie": cookies})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)["username"]
    except urllib.error.HTTPError as refused:
        if refused.code in (401, 403):
            return None
        raise


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        user = current_user(self.headers.get("Cookie", ""))
        if user is None:
            return self.redirect(SIGN_IN)
        items = "".join(f"<li>{html.escape(text)} ({html.escape(name)})" for name, text in entries)
        self.respond(200, f"""<!doctype html><title>Guest book</title>
            <h1>Hello {html.escape(user)}</h1>
            <ul>{items}</ul>
            <form method="post"><input name="text" required><button>Sign the book</button></form>
            <form method="post" action="{CLOAKROOM}/logout"><button>Sign out</button></form>
            <p><a href="{CLOAKROOM}/account">Your account</a>""")

    def do_POST(self):
        if self.headers.get("Origin", HERE) != HERE:  # a page of another origin
            return self.respond(403, "This form is not ours.")
        user = current_user(self.headers.get("Cookie", ""))
        if user is None:
            return self.redirect(SIGN_IN)
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 10_000))
        text = urllib.parse.parse_qs(body.decode()).get("text", [""])[0]
        entries.append((user, text))
        self.redirect(HERE)

    def redirect(self, address):
        self.send_response(303)
        self.send_header("Location", address)
        self.end_headers()

    def respond(self, status, page):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())


ThreadingHTTPServer(("127.0.0.1", urllib.parse.urlsplit(HERE).port), App).serve_forever()
