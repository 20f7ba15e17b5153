"""Runs slowhttptest for as long as asked, again and again, since the service closes its connections in
time; beside it a user who is signed in asks ten times a second, each time on a new connection."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

CONNECTIONS, SECONDS = int(os.environ["CONNECTIONS"]), int(os.environ["SECONDS_EACH"])
HOST, PORT = os.environ["SERVICE"].split(":")
P99 = 100  # ms, for the other user
SHARE = 256  # connections of one client address
PATIENCE = 5
LARGE = "/docs/swagger-ui-bundle.js"

# The modes of slowhttptest: headers, bodies and reads that never end.
KINDS = {
    "headers": ["-H", "-i", "2", "-x", "24", "-u", "/login"],
    "bodies": ["-B", "-i", "2", "-x", "10", "-s", "8192", "-u", "/login"],
    "reads": ["-X", "-n", "5", "-w", "10", "-y", "20", "-z", "32", "-k", "3", "-u", LARGE],
}


def ask(request, port=PORT):
    with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as stream:
        stream.sendall(request)
        answer = b""
        while more := stream.recv(65536):
            answer += more
    return answer.decode()


def sign_up():
    body = json.dumps({"username": "ann", "password": "a long walk by the river"})
    head = f"POST /register HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Type: application/json"
    answer = ask(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return re.search(r"\r\nset-cookie: (session=[^;]+)", answer)[1]


def connections():
    text = ask(
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", os.environ["METRICS"]
    )
    return int(re.search(r"^cloakroom_connections (\d+)", text, re.MULTILINE)[1])


def resident():
    with open(f"/proc/{os.environ['SERVICE_PROCESS']}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


class Attack(threading.Thread):
    """slowhttptest, and what it says of the service."""

    def __init__(self, arguments, host):
        super().__init__()
        path = arguments[-1]
        self.command = ["slowhttptest", *arguments[:-1], f"http://{host}:{PORT}{path}"]
        self.command += ["-c", str(CONNECTIONS), "-r", "1000", "-p", str(PATIENCE)]
        self.said, self.runs, self.fault = {"YES": 0, "NO": 0}, 0, None

    def run(self):
        end = time.monotonic() + SECONDS
        while (left := round(end - time.monotonic())) > 0:
            with tempfile.TemporaryFile() as out:
                code = subprocess.call([*self.command, "-l", str(left)], stdout=out, stderr=out)
                out.seek(0)
                text = out.read().decode(errors="replace")
            text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
            found = re.findall(r"service available:\s+(YES|NO)", text)
            for word in found:
                self.said[word] += 1
            self.runs += 1
            if code != 0 or not found:
                self.fault = f"slowhttptest ended with {code}: {text[-500:]}"
                return


class Nobody(threading.Thread):
    """What the machine does to the user by itself, to compare with."""

    def run(self):
        time.sleep(min(SECONDS, 10))


def reads_beside(thread, cookie):
    """The times of the user's reads while the thread lives, how many failed, and the most that was
    open and resident meanwhile."""
    request = (
        f"GET /private HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode()
    )
    thread.start()
    times, refused, most, memory, due, ticks = [], 0, 0, 0, time.monotonic(), 0
    while thread.is_alive():
        time.sleep(max(0, due - time.monotonic()))
        try:
            is_good = ask(request).startswith("HTTP/1.1 200")
        except OSError:
            is_good = False
        refused += not is_good
        times.append((time.monotonic() - due) * 1000)  # from when it was due
        if ticks % 10 == 0:
            most, memory = max(most, connections()), max(memory, resident())
        ticks += 1
        due += 0.1
    return sorted(times), refused, most, memory


def under(name, arguments, host, cookie):
    attack = Attack(arguments, host)
    times, refused, most, memory = reads_beside(attack, cookie)
    p99 = times[int(0.99 * (len(times) - 1))]
    yes, no = attack.said["YES"], attack.said["NO"]
    is_counted = host != HOST
    bounds = {
        # times are only meaningful when nothing else runs, as in `tests/perf/figures full`
        "p99": p99 <= P99 or "ALONE" not in os.environ,
        "refused": refused == 0,
        "connections": most <= SHARE + 2 if is_counted else most >= 0.5 * CONNECTIONS,
        "available": is_counted or no == 0,
        "slowhttptest": attack.fault is None,
    }
    print(
        f"    {name}: {'service available: YES' if no == 0 else 'service available: NO'} ({yes} × YES, {no} × NO, "
        f"{attack.runs} runs); at most {most} connections, {memory:.0f} MiB; the user beside: {len(times)} reads, "
        f"{refused} not answered, p50 {times[len(times) // 2]:.1f} ms, p99 {p99:.1f} ms (at most {P99}), "
        f"the longest {times[-1]:.1f} ms",
        flush=True,
    )
    for bound, holds in bounds.items():
        if not holds:
            print(f"    NOT MET: {bound} {attack.fault or ''}")
    return all(bounds.values())


def address():
    """This machine's own in its network, if it is in one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as finder:
        try:
            finder.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = finder.getsockname()[0]
    return None if found.startswith("127.") else found


def main():
    cookie = sign_up()
    times, *_ = reads_beside(Nobody(), cookie)
    print(
        f"    nobody: {len(times)} reads, p99 {times[int(0.99 * (len(times) - 1))]:.1f} ms, the longest {times[-1]:.1f} ms"
    )
    asked = sys.argv[1:] or [*KINDS, "counted"]
    held = [under(kind, KINDS[kind], HOST, cookie) for kind in asked if kind != "counted"]
    if "counted" in asked:
        own = address()
        if own is None:
            print("    from an address that is counted: left out, this machine has none but loopback")
        else:
            held.append(under(f"headers from {own}, which is counted", KINDS["headers"], own, cookie))
    sys.exit(not all(held))


main()
