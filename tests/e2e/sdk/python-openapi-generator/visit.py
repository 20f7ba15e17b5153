from http.cookies import SimpleCookie

from cloakroom import (
    ApiClient,
    Configuration,
    Credentials,
    LoginApi,
    PrivateApi,
    Problem,
    SessionsApi,
)


def keep_cookies(client: ApiClient, answer) -> None:
    """It keeps none by itself, and shows but one: so they are taken from the raw answer."""
    cookies = SimpleCookie(client.cookie)
    for cookie in answer.headers.getlist("Set-Cookie"):
        cookies.load(cookie)
    client.cookie = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())


def visit(base_url: str, username: str, password: str) -> str:
    client = ApiClient(Configuration(host=base_url))
    login = LoginApi(client)
    credentials = Credentials(username=username, password=password)
    answer = login.login_without_preload_content(credentials)
    if answer.status != 200:
        problem = Problem.from_json(answer.data)
        if problem.code == "invalid_credentials":
            raise ValueError("Wrong user name or password.")
        raise RuntimeError(f"{problem.status} {problem.title}")  # for example a new code
    keep_cookies(client, answer)

    secret = PrivateApi(client).read_private()
    sessions = SessionsApi(client)
    for session in sessions.list_sessions(limit=20).sessions:
        if not session.current:
            sessions.revoke_session(session.id)
    sessions.logout()
    return secret.private
