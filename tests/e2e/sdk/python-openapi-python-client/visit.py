from cloakroom import Client
from cloakroom.api.login import login
from cloakroom.api.private import read_private
from cloakroom.api.sessions import list_sessions, logout, revoke_session
from cloakroom.models import Credentials, Problem


def visit(base_url: str, username: str, password: str) -> str:
    with Client(base_url=base_url) as client:  # keeps the cookie
        entry = login.sync(client=client, body=Credentials(username, password))
        if isinstance(entry, Problem) and entry.code == "invalid_credentials":
            raise ValueError("Wrong user name or password.")
        if isinstance(entry, Problem):  # for example with a new code
            raise RuntimeError(f"{entry.status} {entry.title}")

        secret = read_private.sync(client=client)
        for session in list_sessions.sync(client=client, limit=20).sessions:
            if not session.current:
                revoke_session.sync_detailed(session.id, client=client)
        logout.sync_detailed(client=client)
        return secret.private
