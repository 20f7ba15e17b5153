import os
import secrets
from datetime import datetime, timedelta, timezone
from urllib.request import urlopen

from cloakroom import (
    Account,
    AccountsApi,
    ApiClient,
    ApiException,
    ApiTokenRequest,
    APITokensApi,
    Configuration,
    Credentials,
    EmailConfirmation,
    LoggedIn,
    LoginApi,
    Registration,
    PasswordChange,
    PasswordConfirmation,
    PasswordReset,
    PasswordResetRequest,
    PrivateApi,
    ProxiesApi,
    Session,
    SessionsApi,
)
from visit import keep_cookies, visit

base_url = os.environ["CLOAKROOM_URL"]
wrong_password = os.environ["WRONG_PASSWORD"]  # the code that the service sends for it
username, password = "tiangolo", "secret2"


class Device:
    """A client with a cookie of its own."""

    def __init__(self, token: str | None = None) -> None:
        self.client = ApiClient(Configuration(host=base_url, access_token=token))
        self.login = LoginApi(self.client)
        self.sessions = SessionsApi(self.client)
        self.accounts = AccountsApi(self.client)
        self.api_tokens = APITokensApi(self.client)
        self.private = PrivateApi(self.client)
        self.proxies = ProxiesApi(self.client)

    def keep(self, answer):
        """The body of a raw answer whose cookies are kept."""
        assert 200 <= answer.status < 300, answer.data
        keep_cookies(self.client, answer)
        return answer.data


def refused(operation, *arguments):
    """The problem that an operation is refused with."""
    try:
        operation(*arguments)
    except ApiException as refusal:
        assert refusal.status == refusal.data.status
        return refusal.data
    raise AssertionError("it was not refused")


# A request without a session and a login with a wrong password are refused.
ann = Device()
assert refused(ann.private.read_private).code == "not_authenticated"
wrong = refused(ann.login.login, Credentials(username=username, password="secret3"))
assert (wrong.status, wrong.code) == (403, wrong_password)
try:
    visit(base_url, username, "secret3")
except ValueError as error:
    assert wrong_password == "invalid_credentials" and str(error).startswith("Wrong user")
except RuntimeError as error:
    assert wrong_password != "invalid_credentials" and str(error).startswith("403 ")
else:
    raise AssertionError("it did not fail")

# Two devices sign in, and the second one revokes the session of the first.
credentials = Credentials(username=username, password=password, remember=True)
there = LoggedIn.from_json(ann.keep(ann.login.login_without_preload_content(credentials)))
assert there.ok
assert ann.private.read_private().username == username
here = Device()
credentials = Credentials(username=username, password=password)
here.keep(here.login.login_without_preload_content(credentials))
page = here.sessions.list_sessions()
[listed] = [session for session in page.sessions if session.id == there.session.id]
assert listed.remember and not listed.current
assert abs(listed.created_at - datetime.now(timezone.utc)) < timedelta(minutes=1)
assert here.sessions.revoke_session_with_http_info(listed.id).status_code == 204
assert refused(here.sessions.revoke_session, listed.id).code == "not_found"
assert refused(ann.private.read_private).code == "session_refused"
assert here.private.read_private().username == username

# The README's program revokes that session too, and its own at the end.
assert visit(base_url, username, password) == "get some private data"
assert refused(here.private.read_private).code == "session_refused"

# A new user registers, changes the password and closes the account.
bob = Device()
name = f"og-late-{secrets.token_hex(6)}"
somebody = Registration(username=name, password="a long walk by the river")
made = Account.from_json(bob.keep(bob.login.register_without_preload_content(somebody)))
assert made.username == name
assert refused(Device().login.register, somebody).code == "username_taken"
change = PasswordChange(current_password=somebody.password, new_password="a short walk by the sea")
bob.keep(bob.accounts.change_password_without_preload_content(change))
assert bob.accounts.get_me().id == made.id

# This user has neither of the roles that a proxy asks for.
assert refused(bob.proxies.forward_auth, ["wiki-editor", "wiki-admin"]).code == "role_needed"

# This user signed in too long ago, so the client confirms the session and repeats the request.
assert refused(bob.accounts.close_account).code == "confirmation_required"
confirmation = PasswordConfirmation(current_password="a short walk by the sea")
confirmed = bob.keep(bob.sessions.confirm_with_password_without_preload_content(confirmation))
assert Session.from_json(confirmed).confirmed_until

# TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
token = bob.api_tokens.create_api_token(ApiTokenRequest(name="Nightly build"))
program = Device(token.token)
assert program.private.read_private().username == name
both = Device(token.token)
both.keep(both.login.login_without_preload_content(Credentials(username=username, password=password)))
assert "session=" in both.client.cookie
assert both.accounts.get_me().username == name
bob.api_tokens.revoke_api_token(token.id)
assert refused(program.private.read_private).code == "token_refused"
assert refused(both.accounts.get_me).code == "token_refused"
assert bob.accounts.get_me().username == name

# The confirmed session closes the account.
assert bob.accounts.close_account_with_http_info().status_code == 204
assert refused(bob.accounts.get_me).code == "session_refused"

# A user confirms an address with the code from a mail, and sets a new password with the link from another.
mailbox = os.environ.get("MAILBOX")
if mailbox:
    cleo = Device()
    email = f"og-{secrets.token_hex(6)}@example.org"

    def mailed(secret: str) -> str:
        with urlopen(f"{mailbox}/{secret}/{email}") as answer:
            return answer.read().decode()

    somebody = Registration(username=email.split("@")[0], password="a long walk by the river", email=email)
    made = Account.from_json(cleo.keep(cleo.login.register_without_preload_content(somebody)))
    assert made.unconfirmed_email == email
    assert cleo.accounts.confirm_email(EmailConfirmation(code=mailed("code"))).email == email
    forgetful = Device()
    forgetful.login.request_password_reset(PasswordResetRequest(username=email))
    reset = PasswordReset(token=mailed("token"), new_password="a short walk by the sea")
    forgetful.login.reset_password(reset)
    assert refused(forgetful.login.reset_password, reset).code == "reset_refused"
    assert refused(cleo.accounts.get_me).code == "session_refused"
    credentials = Credentials(username=email, password=reset.new_password)
    assert forgetful.login.login(credentials).ok
