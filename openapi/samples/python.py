"""The samples of each operation in `x-codeSamples`, for the client of openapi-python-client.

The document shows the lines between "sample" and "end"; `run_samples` runs all of them against a
service in every test run. `cloakroom` is the client that the sample of login makes.
"""

from cloakroom import AuthenticatedClient, Client
from cloakroom.api.accounts import (
    change_email,
    change_password,
    close_account,
    confirm_email,
    get_me,
    update_me,
)
from cloakroom.api.api_tokens import create_api_token, list_api_tokens, revoke_api_token
from cloakroom.api.health import get_liveness, get_readiness
from cloakroom.api.login import login, register, request_password_reset, reset_password
from cloakroom.api.private import read_private
from cloakroom.api.proxies import forward_auth
from cloakroom.api.sessions import (
    confirm_with_password,
    get_session,
    list_sessions,
    logout,
    revoke_other_sessions,
    revoke_session,
)
from cloakroom.api.tokens import get_jwks, issue_token
from cloakroom.models import (
    ApiTokenRequest,
    Credentials,
    EmailChange,
    EmailConfirmation,
    LogoutOptions,
    PasswordChange,
    PasswordConfirmation,
    PasswordReset,
    PasswordResetRequest,
    Problem,
    ProfileUpdate,
    Registration,
    TokenRequest,
)
from cloakroom.types import UNSET


def sample_login(base_url: str, username: str, password: str) -> Client:
    # sample login
    cloakroom = Client(base_url=base_url)  # keeps the cookie
    entry = login.sync(client=cloakroom, body=Credentials(username, password))
    if isinstance(entry, Problem):
        raise RuntimeError(f"{entry.code}: {entry.title}")
    print(f"Signed in until {entry.session.expires_at}.")
    # end
    return cloakroom


def sample_register(base_url: str, username: str, password: str) -> Client:
    cloakroom = Client(base_url=base_url)
    # sample register
    account = register.sync(client=cloakroom, body=Registration(username, password))
    if isinstance(account, Problem):
        print(account.code, account.errors)  # what to change in which field
    else:
        print(f"Registered and signed in as {account.username}.")
    # end
    assert not isinstance(account, Problem), account
    return cloakroom


def sample_read_private(cloakroom: Client) -> None:
    # sample readPrivate
    secret = read_private.sync(client=cloakroom)
    if isinstance(secret, Problem):
        raise RuntimeError(f"{secret.code}: {secret.title}")
    print(secret.private)
    # end


def sample_get_session(cloakroom: Client) -> str:
    # sample getSession
    session = get_session.sync(client=cloakroom)
    if isinstance(session, Problem):
        raise RuntimeError(f"{session.code}: {session.title}")
    print(f"This session ends at {session.expires_at}.")
    # end
    return session.id


def sample_confirm_with_password(cloakroom: Client, current_password: str) -> None:
    # sample confirmWithPassword
    confirmation = PasswordConfirmation(current_password)
    session = confirm_with_password.sync(client=cloakroom, body=confirmation)
    if isinstance(session, Problem):
        raise RuntimeError(f"{session.code}: {session.title}")
    print(f"Confirmed until {session.confirmed_until}.")  # repeat what required it
    # end


def sample_list_sessions(cloakroom: Client) -> None:
    # sample listSessions
    cursor = UNSET
    while cursor is not None:
        page = list_sessions.sync(client=cloakroom, limit=50, cursor=cursor)
        if isinstance(page, Problem):
            raise RuntimeError(f"{page.code}: {page.title}")
        for session in page.sessions:
            print(session.id, session.browser, session.last_seen_at)
        cursor = page.next_cursor or None
    # end


def sample_revoke_session(cloakroom: Client, session_id: str) -> None:
    # sample revokeSession
    problem = revoke_session.sync(session_id, client=cloakroom)
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    # end


def sample_revoke_other_sessions(cloakroom: Client) -> None:
    # sample revokeOtherSessions
    ended = revoke_other_sessions.sync(client=cloakroom)
    if isinstance(ended, Problem):
        raise RuntimeError(f"{ended.code}: {ended.title}")
    print(f"Ended {ended.revoked} other sessions.")
    # end


def sample_get_me(cloakroom: Client) -> None:
    # sample getMe
    account = get_me.sync(client=cloakroom)
    if isinstance(account, Problem):
        raise RuntimeError(f"{account.code}: {account.title}")
    print(f"{account.username}, since {account.created_at}.")
    # end


def sample_update_me(cloakroom: Client, display_name: str) -> None:
    # sample updateMe
    account = update_me.sync(client=cloakroom, body=ProfileUpdate(display_name=display_name))
    if isinstance(account, Problem):
        raise RuntimeError(f"{account.code}: {account.title}")
    print(f"Shown as {account.display_name}.")
    # end


def sample_change_email(cloakroom: Client, address: str) -> None:
    # sample changeEmail
    problem = change_email.sync(client=cloakroom, body=EmailChange(address))
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    print(f"A code is on its way to {address}.")
    # end


def sample_confirm_email(cloakroom: Client, code: str) -> None:
    # sample confirmEmail
    account = confirm_email.sync(client=cloakroom, body=EmailConfirmation(code))
    if isinstance(account, Problem):
        print(account.code)  # code_refused: let the user check the code
    else:
        print(f"Confirmed {account.email}.")
    # end
    assert isinstance(account, Problem) and account.code == "code_refused", account


def sample_request_password_reset(cloakroom: Client, username: str) -> None:
    # sample requestPasswordReset
    problem = request_password_reset.sync(client=cloakroom, body=PasswordResetRequest(username))
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    print("If the account has an address, a link is on its way.")
    # end


def sample_reset_password(cloakroom: Client, token: str, new_password: str) -> None:
    # sample resetPassword
    problem = reset_password.sync(client=cloakroom, body=PasswordReset(token, new_password))
    if problem:
        print(problem.code)  # reset_refused: let the user request another link
    else:
        print("The new password is set. Sign in with it.")
    # end
    assert problem and problem.code == "reset_refused", problem


def sample_change_password(cloakroom: Client, current_password: str, new_password: str) -> None:
    # sample changePassword
    change = PasswordChange(current_password, new_password)
    problem = change_password.sync(client=cloakroom, body=change)
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    # end


def sample_close_account(cloakroom: Client) -> None:
    # sample closeAccount
    problem = close_account.sync(client=cloakroom)
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    # end


def sample_create_api_token(cloakroom: Client, base_url: str) -> str:
    # sample createApiToken
    request = ApiTokenRequest("Nightly build", expires_in_days=30)
    created = create_api_token.sync(client=cloakroom, body=request)
    if isinstance(created, Problem):
        raise RuntimeError(f"{created.code}: {created.title}")
    # A program sends the token instead of a cookie.
    program = AuthenticatedClient(base_url=base_url, token=created.token)
    secret = read_private.sync(client=program)
    # end
    assert secret.private == "get some private data"
    return created.id


def sample_list_api_tokens(cloakroom: Client) -> None:
    # sample listApiTokens
    cursor = UNSET
    while cursor is not None:
        page = list_api_tokens.sync(client=cloakroom, limit=50, cursor=cursor)
        if isinstance(page, Problem):
            raise RuntimeError(f"{page.code}: {page.title}")
        for token in page.api_tokens:
            print(token.id, token.name, token.expires_at, token.last_used_at)
        cursor = page.next_cursor or None
    # end


def sample_revoke_api_token(cloakroom: Client, token_id: str) -> None:
    # sample revokeApiToken
    problem = revoke_api_token.sync(token_id, client=cloakroom)
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    # end


def sample_issue_token(cloakroom: Client) -> None:
    # sample issueToken
    token = issue_token.sync(client=cloakroom, body=TokenRequest("https://api.example.org"))
    if isinstance(token, Problem):
        raise RuntimeError(f"{token.code}: {token.title}")
    headers = {"Authorization": f"Bearer {token.access_token}"}  # for the API, for `expires_in` seconds
    # end
    assert headers["Authorization"].count(".") == 2


def sample_get_jwks(cloakroom: Client) -> None:
    # sample getJwks
    jwks = get_jwks.sync(client=cloakroom)
    print([key.kid for key in jwks.keys])
    # end


def sample_forward_auth(cloakroom: Client) -> None:
    # sample forwardAuth
    answer = forward_auth.sync_detailed(client=cloakroom)
    if isinstance(answer.parsed, Problem):
        raise RuntimeError(f"{answer.parsed.code}: {answer.parsed.title}")
    print(answer.headers["Remote-User"])
    # end


def sample_get_liveness(cloakroom: Client) -> None:
    # sample getLiveness
    answer = get_liveness.sync_detailed(client=cloakroom)
    print("The process answers." if answer.status_code == 200 else "The process does not answer.")
    # end
    assert answer.status_code == 200


def sample_get_readiness(cloakroom: Client) -> None:
    # sample getReadiness
    answer = get_readiness.sync_detailed(client=cloakroom)
    print("Ready." if answer.status_code == 200 else f"Not ready: {answer.parsed.detail}")
    # end
    assert answer.status_code == 200


def sample_logout(cloakroom: Client) -> None:
    # sample logout
    problem = logout.sync(client=cloakroom, body=LogoutOptions())
    if problem:
        raise RuntimeError(f"{problem.code}: {problem.title}")
    # end


def run_samples(base_url: str, username: str) -> None:
    """Runs every sample against a service where this user name is free."""
    password, new_password = "a long walk by the river", "a short walk by the sea"
    first = sample_register(base_url, username, password)
    cloakroom = sample_login(base_url, username, password)
    sample_read_private(cloakroom)
    sample_get_session(cloakroom)
    sample_confirm_with_password(cloakroom, password)
    sample_list_sessions(cloakroom)
    sample_get_me(cloakroom)
    sample_update_me(cloakroom, "Alice Liddell")
    sample_change_email(cloakroom, f"{username}@example.org")
    sample_confirm_email(cloakroom, "00000-00000")  # the right code is in the mail
    sample_request_password_reset(cloakroom, username)
    token = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"  # the right one is in the mail
    sample_reset_password(cloakroom, token, "a long walk by the river")
    sample_forward_auth(cloakroom)
    sample_issue_token(cloakroom)
    sample_get_jwks(cloakroom)
    token_id = sample_create_api_token(cloakroom, base_url)
    sample_list_api_tokens(cloakroom)
    sample_revoke_api_token(cloakroom, token_id)
    assert list_api_tokens.sync(client=cloakroom).api_tokens == []
    sample_get_liveness(cloakroom)
    sample_get_readiness(cloakroom)
    sample_revoke_session(cloakroom, sample_get_session(first))
    assert read_private.sync(client=first).code == "session_refused"
    sample_login(base_url, username, password)
    sample_revoke_other_sessions(cloakroom)
    sample_change_password(cloakroom, password, new_password)
    last = sample_login(base_url, username, new_password)
    sample_logout(cloakroom)
    assert read_private.sync(client=cloakroom).code == "not_authenticated"
    sample_close_account(last)
    assert get_me.sync(client=last).code == "not_authenticated"
