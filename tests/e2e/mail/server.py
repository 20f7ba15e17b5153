"""SMTP servers for tests/api/smtp.rs, whose answers the recipient's name decides.

    server.py FOLDER

FOLDER has the certificates `trusted.pem` and `wrong-name.pem` with their keys `*.key`. The ports are printed as one
JSON object. What happens is written to FOLDER/log, one JSON object a line. The login is `ann` with `secret`.
"""

import asyncio
import collections
import email
import json
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder = Path(sys.argv[1])
log = (folder / "log").open("a")
tries = collections.Counter()


def record(**what):
    log.write(json.dumps(what) + "\n")
    log.flush()


def authenticate(server, session, envelope, mechanism, data):
    is_right = data == LoginPassword(b"ann", b"secret")
    record(event="login", mechanism=mechanism, right=is_right)
    return AuthResult(success=is_right, handled=True) if is_right else AuthResult(success=False, handled=False)


class Handler:
    """`refused@` is refused, `outside@` needs a login, `full@` is refused for now, `later@` is refused three times for now, `spam@` is refused
    after its content, `hang@` gets no answer, and `lost@` is accepted once without an answer."""

    def __init__(self, name):
        self.name = name

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        tries[name] += 1
        record(event="recipient", server=self.name, to=address)
        if name == "refused":
            return "550 5.1.1 no such user\x1b[31m here"
        if name == "outside":
            return "530 5.7.0 authentication required for this recipient"
        if name == "full":
            return "452 4.2.2 mailbox full"
        if name == "later" and tries[name] <= 3:
            return "451 4.7.1 greylisted"
        if name == "hang":
            await asyncio.sleep(600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        to = envelope.rcpt_tos[0]
        name = to.split("@")[0]
        if name == "spam":
            return "554 5.7.1 looks like spam"
        record(event="mail", server=self.name, to=to, sender=envelope.mail_from, id=message["Message-ID"],
               auto=message["Auto-Submitted"], text=message.get_payload(decode=True).decode())
        if name == "lost" and tries[name] == 1:
            server.transport.abort()
        return "250 2.0.0 queued as 7"


def context(certificate):
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    return made


async def main():
    loop = asyncio.get_running_loop()
    login = {"auth_required": True, "authenticator": authenticate}
    trusted = context("trusted")
    servers = {
        "plain": ({}, None),
        "starttls": ({"tls_context": trusted, "require_starttls": True, **login}, None),
        # An attacker in between has removed STARTTLS from the answer to EHLO.
        "stripped": ({"auth_require_tls": False, **login}, None),
        "smtps": ({"auth_require_tls": False, **login}, trusted),
        "wrong-name": ({"auth_require_tls": False, **login}, context("wrong-name")),
    }
    ports = {}
    for name, (options, tls) in servers.items():
        make = lambda name=name, options=options: SMTP(Handler(name), **options)
        server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
