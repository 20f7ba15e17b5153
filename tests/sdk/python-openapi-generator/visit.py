from cloakroom import ApiClient, ApiException, Configuration, Credentials, PrivateApi, SessionsApi
from urllib3 import HTTPHeaderDict


def visit(base_url: str, username: str, password: str) -> str:
    client = ApiClient(Configuration(host=base_url))
    sessions = SessionsApi(client)
    try:
        entry = sessions.login_with_http_info(Credentials(username=username, password=password))
    except ApiException as refusal:
        if refusal.data.code == "invalid_credentials":
            raise ValueError("Wrong user name or password.")
        raise  # a code that is new to us, say
    client.cookie = HTTPHeaderDict(entry.headers)["Set-Cookie"].split(";")[0]  # it keeps none by itself

    secret = PrivateApi(client).read_private()
    for session in sessions.list_sessions(limit=20).sessions:
        if not session.current:
            sessions.revoke_session(session.id)
    sessions.logout()
    return secret.private
