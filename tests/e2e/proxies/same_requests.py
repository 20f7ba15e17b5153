"""SMU-03: whatever is sent, the proxy and the service have the same requests, and everybody gets the
answer to their own.

Good requests and malformed ones come mixed on kept connections. Each has a `traceparent` of its own,
which the service logs beside the id that it answers with: so the answer that came for a request, and
the one that was made for it, are known to be one.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict

from wire import HOST, Closed, Connection, metric

PROXY = os.environ["PROXY"]
REQUESTS = int(os.environ["REQUESTS"])
CLIENTS = 8
JSON = "Content-Type: application/json"

# A body that contains a request, for a reader that computes another length. It must never be taken for one.
SMUGGLED = f"GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\nX-Rest: "
BODY = '{"username":"a"}'
CHUNKS = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"


def trace(n):
    return f"00-{n:032x}-{n:016x}-01"


def message(n, line, *fields, body="", version="HTTP/1.1"):
    head = [f"{line} {version}", f"Host: {HOST}", f"traceparent: {trace(n)}", *fields]
    return "\r\n".join(head) + "\r\n\r\n" + body


def with_body(n, line, body, *fields):
    return message(n, line, f"Content-Length: {len(body)}", *fields, body=body)


def login(n, *fields, body="", version="HTTP/1.1"):
    return message(n, "POST /login", JSON, *fields, body=body, version=version)


# Valid requests, with the statuses that they may have. None of them hashes a password, which is not tested here.
GOOD = {
    "read": (lambda n: message(n, "GET /livez"), {200}),
    "read without a session": (lambda n: message(n, f"GET /private?n={n}"), {401}),
    "unknown path": (lambda n: message(n, f"GET /unknown/{n}"), {404}),
    "head": (lambda n: message(n, "HEAD /livez"), {200}),
    "page": (lambda n: message(n, "GET /login", "Accept: text/html"), {200}),
    "body": (lambda n: with_body(n, "POST /login", BODY, JSON), {400}),
    "body of nobody's": (lambda n: with_body(n, f"POST /unknown/{n}", SMUGGLED), {404}),
    "body of a read": (lambda n: with_body(n, "GET /livez", SMUGGLED), {200}),
    "body of another type": (
        lambda n: with_body(n, "POST /login", SMUGGLED, "Content-Type: text/plain"),
        {415},
    ),
    "chunks": (lambda n: login(n, "Transfer-Encoding: chunked", body=CHUNKS), {400}),
    "chunks of nobody's": (
        lambda n: message(n, f"POST /unknown/{n}", "Transfer-Encoding: chunked", body=CHUNKS),
        {404},
    ),
    "chunk with an extension": (
        lambda n: login(n, "Transfer-Encoding: chunked", body=CHUNKS.replace("\r\n", ";a=b\r\n", 1)),
        {400},
    ),
    "trailer": (
        lambda n: login(n, "Transfer-Encoding: chunked", body=CHUNKS[:-2] + "X-Trailer: a\r\n\r\n"),
        {400},
    ),
    "large body": (lambda n: with_body(n, "POST /login", "x" * 17_000, JSON), {413}),
}

# SMU-01 and SMU-02: requests with an ambiguous end. Each continues with what the other interpretation would take for
# the rest.
MALFORMED = {
    "two lengths": lambda n: login(
        n,
        f"Content-Length: {len(BODY) + len(SMUGGLED)}",
        f"Content-Length: {len(BODY)}",
        body=BODY + SMUGGLED,
    ),
    "two lengths, the short one first": lambda n: login(
        n,
        f"Content-Length: {len(BODY)}",
        f"Content-Length: {len(BODY) + len(SMUGGLED)}",
        body=BODY + SMUGGLED,
    ),
    "length with a sign": lambda n: login(n, f"Content-Length: +{len(BODY)}", body=BODY + SMUGGLED),
    "list of lengths": lambda n: login(n, f"Content-Length: {len(BODY)}, 3", body=BODY + SMUGGLED),
    "length below zero": lambda n: login(n, "Content-Length: -1", body=BODY + SMUGGLED),
    "length without end": lambda n: login(n, "Content-Length: 99999999999999999999", body=BODY + SMUGGLED),
    "space before the colon": lambda n: login(n, "Transfer-Encoding : chunked", body=CHUNKS + SMUGGLED),
    "space, and a length": lambda n: login(
        n, f"Content-Length: {len(CHUNKS + SMUGGLED)}", "Transfer-Encoding : chunked", body=CHUNKS + SMUGGLED
    ),
    "unknown encoding": lambda n: login(n, "Transfer-Encoding: xchunked", body=CHUNKS + SMUGGLED),
    "encoding that does not end in chunked": lambda n: login(
        n, "Transfer-Encoding: chunked, identity", body=CHUNKS + SMUGGLED
    ),
    "two encodings": lambda n: login(
        n, "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=CHUNKS + SMUGGLED
    ),
    "length and chunks": lambda n: login(
        n, f"Content-Length: {len(CHUNKS + SMUGGLED)}", "Transfer-Encoding: chunked", body=CHUNKS + SMUGGLED
    ),
    "chunks and a short length": lambda n: login(
        n, "Transfer-Encoding: chunked", "Content-Length: 3", body=CHUNKS
    ),
    "chunks before HTTP/1.1": lambda n: login(
        n, "Transfer-Encoding: chunked", body=CHUNKS + SMUGGLED, version="HTTP/1.0"
    ),
    "folded field": lambda n: login(n, "X-A: b\r\n c", f"Content-Length: {len(BODY)}", body=BODY + SMUGGLED),
    "folded encoding": lambda n: login(n, "Transfer-Encoding:\r\n chunked", body=CHUNKS + SMUGGLED),
    "chunk that overflows": lambda n: login(
        n, "Transfer-Encoding: chunked", body=f"ffffffffffffffff0\r\n{BODY}\r\n0\r\n\r\n{SMUGGLED}"
    ),
    "extension without end": lambda n: login(
        n,
        "Transfer-Encoding: chunked",
        body=f"{len(BODY):x};{'a' * 70 * 1024}\r\n{BODY}\r\n0\r\n\r\n{SMUGGLED}",
    ),
    "chunk whose size ends in a line feed": lambda n: login(
        n, "Transfer-Encoding: chunked", body=CHUNKS.replace("\r\n", "\n", 1) + SMUGGLED
    ),
    "chunk longer than its size": lambda n: login(
        n, "Transfer-Encoding: chunked", body=f"2\r\n{BODY}\r\n0\r\n\r\n{SMUGGLED}"
    ),
    "bare line feeds": lambda n: message(n, "GET /livez").replace("\r\n", "\n"),
    "bare carriage returns": lambda n: message(n, "GET /livez").replace("\r\n", "\r"),
    "carriage return in a field": lambda n: message(n, "GET /livez", "X-A: b\rTransfer-Encoding: chunked"),
    "zero byte in a field": lambda n: message(n, "GET /livez", "X-A: b\0c"),
    "two hosts": lambda n: message(n, "GET /livez", "Host: evil.example"),
    "target with a space": lambda n: message(n, "GET /livez x"),
    "head without end": lambda n: message(n, "GET /livez", "X-A: " + "b" * 70 * 1024),
    "no HTTP": lambda n: f"nonsense {trace(n)}\r\n\r\n",
}

# Caddy forwards a body while it arrives, and stops where it is malformed: it answers 502 itself, and the service sees a
# client that disconnects. nginx forwards only complete requests.
BROKEN_OFF = (
    {"chunk that overflows", "extension without end", "chunk longer than its size"}
    if PROXY == "caddy"
    else set()
)


class Crowd:
    """What the clients sent and got, counted by all of them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = self.connections = 0
        self.own = {}  # by the id of a response: the numbers of the requests that it may belong to
        self.malformed = {}  # by number: the kind
        self.statuses = defaultdict(Counter)  # of malformed ones, by kind
        self.faults = []

    def numbers(self, count):
        """The next ones, as long as there are any left."""
        with self.lock:
            first, self.sent = self.sent, min(self.sent + count, REQUESTS)
            return list(range(first + 1, self.sent + 1))

    def got(self, answer, numbers):
        identity = answer.one("x-request-id")
        with self.lock:
            if identity in self.own:
                self.faults.append(f"{identity} came twice, the second time for {numbers}")
            if identity is not None:
                self.own[identity] = numbers
        return identity

    def blame(self, fault):
        with self.lock:
            self.faults.append(fault)


def client(crowd, chance):
    connection = None
    while True:
        count = chance.choice((1, 1, 2, 4))
        is_good = chance.random() < 0.75
        numbers = crowd.numbers(count if is_good else 2)
        if not numbers:
            return
        if connection is None:
            connection = Connection(10)
            with crowd.lock:
                crowd.connections += 1
        if is_good:
            goes_on = good(crowd, connection, numbers, chance)
        else:
            goes_on = malformed(crowd, connection, numbers, chance)
        if not goes_on or chance.random() < 0.05:
            connection.close()
            connection = None


def good(crowd, connection, numbers, chance):
    """Some at once; the answers come in their order, and the connection goes on."""
    kinds = [chance.choice(list(GOOD)) for _ in numbers]
    connection.send("".join(GOOD[kind][0](n) for n, kind in zip(numbers, kinds)).encode("latin-1"))
    for n, kind in zip(numbers, kinds):
        try:
            answer = connection.answer("HEAD" if kind == "head" else "GET")
        except (Closed, TimeoutError) as why:
            crowd.blame(f"{n}, {kind}: {type(why).__name__} instead of an answer")
            return False
        identity = crowd.got(answer, [n])
        if identity is None or answer.status not in GOOD[kind][1]:
            crowd.blame(f"{n}, {kind}: {answer}")
    return True


def malformed(crowd, connection, numbers, chance):
    """One, and a good one behind it, which the proxy may look at or not."""
    kind = chance.choice(list(MALFORMED))
    connection.send(MALFORMED[kind](numbers[0]).encode("latin-1"))
    for n in numbers[1:]:
        connection.send(message(n, f"GET /behind/{n}").encode())
    outcome = "no answer"
    for patience in (1, 0.3, 0.3):  # the third is for a request in between
        connection.stream.settimeout(patience)
        try:
            answer = connection.answer()
        except (Closed, TimeoutError):
            break
        crowd.got(answer, numbers)
        if outcome == "no answer":
            outcome = answer.status
    with crowd.lock:
        crowd.malformed[numbers[0]] = kind
        crowd.statuses[kind][outcome] += 1
    return False


def passed_on():
    """By id, what the proxy's log says was asked. What it answered by itself has no id there: the traces
    of these, as far as it says them."""
    asked, by_itself = {}, set()
    with open(os.environ["PROXY_LOG"], encoding="utf-8") as file:
        for line in file:
            if PROXY == "nginx":  # address [time] method path status seconds id
                parts = line.split(" ")
                identity, what, traces = parts[-1].strip(), f"{parts[2]} {parts[3]}", []
            else:
                entry = json.loads(line)
                identity = next(iter(entry["resp_headers"].get("X-Request-Id", [])), "-")
                what = f"{entry['request']['method']} {entry['request']['uri']}"
                traces = entry["request"]["headers"].get("Traceparent", [])
            if identity == "-":
                by_itself.update(traces)
            else:
                asked[identity] = what
    return asked, by_itself


def looked_at():
    """By id, what the service's log says was asked, and in which trace."""
    asked = {}
    with open(os.environ["SERVICE_LOG"], encoding="utf-8") as file:
        for line in file:
            if line.startswith("{") and (entry := json.loads(line)).get("asked"):
                span = entry["span"]
                asked[span["request_id"]] = (entry["asked"], span.get("traceparent"))
    return asked


def main():
    seed = int(os.environ.get("SEED", "20261123"))
    served_before, known_before = metric("cloakroom_requests_total"), set(looked_at())
    crowd, start = Crowd(), time.monotonic()
    clients = [threading.Thread(target=client, args=(crowd, random.Random(seed + n))) for n in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    took = time.monotonic() - start
    size = -1  # until the proxy has written its log
    while size != (now := os.path.getsize(os.environ["PROXY_LOG"])):
        size = now
        time.sleep(1)

    at_service = {key: value for key, value in looked_at().items() if key not in known_before}
    at_proxy, by_itself = passed_on()
    at_proxy = {key: value for key, value in at_proxy.items() if key not in known_before}
    served = metric("cloakroom_requests_total") - served_before
    numbers = {trace(n): n for n in range(1, REQUESTS + 1)}
    for identity, own in crowd.own.items():
        _, traceparent = at_service.get(identity, (None, "none at all"))
        if traceparent is not None and numbers.get(traceparent) not in own:
            crowd.blame(f"an answer to {numbers.get(traceparent)} came to {own}")
    broken_off = 0
    for identity in at_service.keys() - at_proxy.keys():
        _, traceparent = at_service[identity]
        if traceparent in by_itself and crowd.malformed.get(numbers.get(traceparent)) in BROKEN_OFF:
            broken_off += 1
        else:
            crowd.blame(f"the service alone has {identity}: {at_service[identity]}")
    for identity in at_proxy.keys() - at_service.keys():
        crowd.blame(f"the proxy alone has {identity}: {at_proxy[identity]}")
    for identity in at_service.keys() & at_proxy.keys():
        if at_service[identity][0] != at_proxy[identity]:
            crowd.blame(
                f"{identity} is {at_proxy[identity]} to the proxy, {at_service[identity]} to the service"
            )
    if served != len(at_service):
        crowd.blame(f"the service counts {served} requests and logs {len(at_service)}")

    for kind in MALFORMED:
        outcomes = ", ".join(f"{count} × {what}" for what, count in crowd.statuses[kind].most_common())
        print(f"    {kind}: {outcomes or 'not sent'}")
    print(
        f"    SMU-03 {PROXY}: {crowd.sent} requests on {crowd.connections} connections in {took:.0f} s (seed {seed}); "
        f"passed on by the proxy {len(at_proxy)}"
        + (f" and {broken_off} broken off" if BROKEN_OFF else "")
        + f", counted by the service {served}; "
        f"{len(crowd.own)} answers of the service, {len(crowd.faults)} faults"
    )
    for fault in crowd.faults[:20]:
        print(f"    FAULT: {fault}")
    sys.exit(bool(crowd.faults))


main()
