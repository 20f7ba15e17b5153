"""What people do behind a proxy, and what they must not be able to do."""

import json
import os
import socket
import time

from wire import CLIENT, HOST, NAME, Connection, asked, metric, request

PROXY = os.environ["PROXY"]
PASSWORD = "a long walk by the river"
JSON = "Content-Type: application/json"
# Headers by which a client tries to pass for another.
ELSEWHERE = "203.0.113.9"
SPOOFED = (f"X-Forwarded-For: {ELSEWHERE}", f"Forwarded: for={ELSEWHERE}", f"X-Real-IP: {ELSEWHERE}")


def credentials(operation, *fields, status=200):
    body = json.dumps({"username": "ann", "password": PASSWORD}).encode()
    answer = asked("POST", operation, JSON, *fields, body=body)
    assert answer.status == status, answer
    cookie = next(value for value in answer.all("set-cookie") if value.startswith("__Host-session="))
    return cookie.split(";")[0], {part.strip() for part in cookie.split(";")[1:]}, answer


def sessions(cookie, *fields):
    answer = asked("GET", "/sessions", f"Cookie: {cookie}", *fields)
    assert answer.status == 200, answer
    return json.loads(answer.body)["sessions"]


def http_leads_to_https():
    with socket.create_connection(("127.0.0.1", int(os.environ["HTTP"])), 10) as stream:
        stream.sendall(f"GET /login?next=/x HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        answer = stream.recv(4096).decode()
    status = answer.split(" ")[1]
    assert status in ("301", "308"), answer
    assert f"\r\nlocation: https://{NAME}" in answer.lower(), answer
    assert "/login?next=/x" in answer, answer


def a_session_is_secure_and_knows_where_it_comes_from():
    _, attributes, answer = credentials("/register", status=201)
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= attributes, attributes
    assert answer.one("strict-transport-security"), answer
    assert answer.one("x-request-id"), answer
    cookie, _, _ = credentials("/login", *SPOOFED)
    listed = sessions(cookie, *SPOOFED)
    assert len(listed) == 2, listed
    assert {session["address"] for session in listed} == {CLIENT}, listed


def a_revoked_session_is_refused_at_once():
    (lost, _, _), (kept, _, _) = credentials("/login"), credentials("/login")
    connection = Connection()
    for cookie in (lost, kept):  # both are in the session cache
        connection.send(request("GET", "/private", f"Cookie: {cookie}"))
        assert connection.answer().status == 200
    connection.send(request("DELETE", "/sessions", f"Cookie: {kept}"))
    assert connection.answer("DELETE").status == 200
    for cookie, status in ((lost, 403), (kept, 200)):
        connection.send(request("GET", "/private", f"Cookie: {cookie}"))
        answer = connection.answer()
        assert answer.status == status, answer
    connection.close()


def a_foreign_host_is_refused():
    for host in ("evil.example", f"{NAME}.evil.example", f"evil.example:{os.environ['HTTPS']}"):
        answer = asked("GET", "/livez", host=host)
        assert answer.status == 421, answer


def other_origins_are_refused_and_ours_is_not():
    cookie, _, _ = credentials("/login")
    for origin, status in (("https://evil.example", 403), (f"https://{HOST}", 204)):
        answer = asked("POST", "/logout", f"Cookie: {cookie}", f"Origin: {origin}")
        assert answer.status == status, answer


def a_large_body_is_refused_in_words_of_ours():
    body = b'{"username":"' + b"x" * 17_000 + b'"}'
    answer = asked("POST", "/login", JSON, body=body)
    assert answer.status == 413 and json.loads(answer.body)["code"], answer


def metrics_are_not_for_everybody():
    assert asked("GET", "/metrics").status == 404


def connections_to_the_service_are_kept():
    connection = Connection()
    for _ in range(200):
        connection.send(request("GET", "/livez"))
        assert connection.answer().status == 200
    connection.close()
    kept = metric("cloakroom_connections")
    assert 1 <= kept <= 8, f"{kept} connections from the proxy to the service"


def the_log_has_the_id_of_a_request_and_no_query():
    answer = asked("GET", "/register?invite=canary-of-an-invite", "Cookie: x=canary-of-a-cookie")
    identity = answer.one("x-request-id")
    deadline = time.monotonic() + 60
    while True:
        with open(os.environ["PROXY_LOG"], encoding="utf-8") as file:
            log = file.read()
        if identity in log:
            break
        assert time.monotonic() < deadline, f"{identity} is not in the log"
        time.sleep(0.05)
    line = next(line for line in log.splitlines() if identity in line)
    assert "/register" in line and CLIENT in line, line
    assert "canary" not in log, line


SCENES = (
    a_session_is_secure_and_knows_where_it_comes_from,
    a_revoked_session_is_refused_at_once,
    a_foreign_host_is_refused,
    other_origins_are_refused_and_ours_is_not,
    a_large_body_is_refused_in_words_of_ours,
    metrics_are_not_for_everybody,
)
BEHIND_A_PROXY = (
    http_leads_to_https,
    connections_to_the_service_are_kept,
    the_log_has_the_id_of_a_request_and_no_query,
)
for scene in SCENES + (BEHIND_A_PROXY if PROXY != "alone" else ()):
    scene()
    print(f"    {PROXY}: {scene.__name__.replace('_', ' ')}", flush=True)
