import os
import secrets
from datetime import datetime, timedelta, timezone
from typing import TypeVar
from urllib.request import urlopen

from cloakroom import AuthenticatedClient, Client
from cloakroom.api.accounts import change_password, close_account, confirm_email, get_me
from cloakroom.api.api_tokens import create_api_token, list_api_tokens, revoke_api_token
from cloakroom.api.login import login, register, request_password_reset, reset_password
from cloakroom.api.private import read_private
from cloakroom.api.proxies import forward_auth
from cloakroom.api.sessions import confirm_with_password, list_sessions, revoke_session
from cloakroom.models import (
    Account,
    ApiTokenRequest,
    ApiTokenWithSecret,
    Credentials,
    EmailConfirmation,
    LoggedIn,
    Registration,
    PasswordChange,
    PasswordConfirmation,
    PasswordReset,
    PasswordResetRequest,
    PrivateData,
    Problem,
    Session,
    SessionPage,
)
from samples import run_samples
from visit import visit

base_url = os.environ["CLOAKROOM_URL"]
wrong_password = os.environ["WRONG_PASSWORD"]  # the code that the service sends for it
username, password = "tiangolo", "secret2"


T = TypeVar("T")


def expect(kind: type[T], answer: object) -> T:
    assert isinstance(answer, kind), answer
    return answer


def fails(error: type[Exception], words: str, *arguments: str) -> None:
    try:
        visit(*arguments)
    except error as raised:
        assert str(raised).startswith(words), raised
    else:
        raise AssertionError("it did not fail")


# A request without a session and a login with a wrong password are refused.
ann = Client(base_url=base_url)
assert expect(Problem, read_private.sync(client=ann)).code == "not_authenticated"
wrong = login.sync_detailed(client=ann, body=Credentials(username, "secret3"))
assert wrong.status_code == 403
assert expect(Problem, wrong.parsed).code == wrong_password
if wrong_password == "invalid_credentials":
    fails(ValueError, "Wrong user", base_url, username, "secret3")
else:
    fails(RuntimeError, "403 ", base_url, username, "secret3")

# Two devices sign in, and the second one revokes the session of the first.
there = expect(LoggedIn, login.sync(client=ann, body=Credentials(username, password, remember=True)))
assert there.ok
assert expect(PrivateData, read_private.sync(client=ann)).username == username
here = Client(base_url=base_url)
expect(LoggedIn, login.sync(client=here, body=Credentials(username, password)))
page = expect(SessionPage, list_sessions.sync(client=here))
[listed] = [session for session in page.sessions if session.id == there.session.id]
assert listed.remember and not listed.current
assert abs(listed.created_at - datetime.now(timezone.utc)) < timedelta(minutes=1)
assert revoke_session.sync_detailed(listed.id, client=here).status_code == 204
assert expect(Problem, revoke_session.sync(listed.id, client=here)).code == "not_found"
assert expect(Problem, read_private.sync(client=ann)).code == "session_refused"
assert expect(PrivateData, read_private.sync(client=here)).username == username

# The README's program revokes that session too, and its own at the end.
assert visit(base_url, username, password) == "get some private data"
assert expect(Problem, read_private.sync(client=here)).code == "session_refused"

# A new user registers, changes the password and closes the account.
bob = Client(base_url=base_url)
name = f"py-late-{secrets.token_hex(6)}"
short = expect(Problem, register.sync(client=bob, body=Registration(name, "short")))
assert short.code == "policy_violation"
assert short.errors and short.errors[0].field == "password"
made = expect(Account, register.sync(client=bob, body=Registration(name, "a long walk by the river")))
assert made.username == name
change = PasswordChange("a long walk by the river", "a short walk by the sea")
assert change_password.sync_detailed(client=bob, body=change).status_code == 204
assert expect(Account, get_me.sync(client=bob)).id == made.id

# This user has neither of the roles that a proxy asks for.
check = forward_auth.sync(client=bob, role=["wiki-editor", "wiki-admin"])
assert expect(Problem, check).code == "role_needed"

# This user signed in too long ago, so the client confirms the session and repeats the request.
assert expect(Problem, close_account.sync(client=bob)).code == "confirmation_required"
confirmation = PasswordConfirmation("a short walk by the sea")
assert expect(Session, confirm_with_password.sync(client=bob, body=confirmation)).confirmed_until

# TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
request = ApiTokenRequest("Nightly build")
token = expect(ApiTokenWithSecret, create_api_token.sync(client=bob, body=request))
program = AuthenticatedClient(base_url=base_url, token=token.token)
assert expect(PrivateData, read_private.sync(client=program)).username == name
both = AuthenticatedClient(base_url=base_url, token=token.token)
expect(LoggedIn, login.sync(client=both, body=Credentials(username, password)))
assert both.get_httpx_client().cookies["session"]
assert expect(Account, get_me.sync(client=both)).username == name
assert expect(Problem, list_api_tokens.sync(client=both)).code == "token_refused"
assert revoke_api_token.sync_detailed(token.id, client=bob).status_code == 204
assert expect(Problem, read_private.sync(client=program)).code == "token_refused"
assert expect(Problem, get_me.sync(client=both)).code == "token_refused"
assert expect(Account, get_me.sync(client=bob)).username == name

# The confirmed session closes the account.
assert close_account.sync_detailed(client=bob).status_code == 204
assert expect(Problem, get_me.sync(client=bob)).code == "not_authenticated"

# A user confirms an address with the code from a mail, and sets a new password with the link from another.
mailbox = os.environ.get("MAILBOX")
if mailbox:
    cleo = Client(base_url=base_url)
    email = f"py-{secrets.token_hex(6)}@example.org"

    def mailed(secret: str) -> str:
        with urlopen(f"{mailbox}/{secret}/{email}") as answer:
            return answer.read().decode()

    registration = Registration(email.split("@")[0], "a long walk by the river", email=email)
    made = expect(Account, register.sync(client=cleo, body=registration))
    assert made.unconfirmed_email == email
    code = EmailConfirmation(mailed("code"))
    assert expect(Account, confirm_email.sync(client=cleo, body=code)).email == email
    forgetful = Client(base_url=base_url)
    reset_request = PasswordResetRequest(email)
    assert request_password_reset.sync_detailed(client=forgetful, body=reset_request).status_code == 202
    reset = PasswordReset(mailed("token"), "a short walk by the sea")
    assert reset_password.sync_detailed(client=forgetful, body=reset).status_code == 204
    assert expect(Problem, reset_password.sync(client=forgetful, body=reset)).code == "reset_refused"
    assert expect(Problem, get_me.sync(client=cleo)).code == "session_refused"
    credentials = Credentials(email, reset.new_password)
    assert expect(LoggedIn, login.sync(client=forgetful, body=credentials)).ok

# The samples of the document work as they are shown.
run_samples(base_url, f"py-{secrets.token_hex(6)}")
