"""HTTP as it is on the wire, over TLS: what a library would mend or refuse is sent as it stands."""

import os
import socket
import ssl

NAME = os.environ["NAME"]
PORT = int(os.environ["HTTPS"])
HOST = f"{NAME}:{PORT}"
# An address other than the proxy's and the service's, which has to appear in the list of sessions.
CLIENT = "127.0.0.5"


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def all(self, name):
        return [value for field, value in self.fields if field == name]

    def one(self, name):
        return next(iter(self.all(name)), None)

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:300]!r}"


class Closed(Exception):
    """The other side has closed the connection instead of answering."""


class Connection:
    def __init__(self, patience=10):
        context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
        stream = socket.create_connection(("127.0.0.1", PORT), patience, (CLIENT, 0))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = context.wrap_socket(stream, server_hostname=NAME)
        self.read = b""

    def close(self):
        self.stream.close()

    def send(self, message):
        try:
            self.stream.sendall(message)
        except OSError:
            pass  # there may still be a response

    def _more(self):
        try:
            more = self.stream.recv(65536)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed from error
        if not more:
            raise Closed
        self.read += more

    def _until(self, end):
        while end not in self.read:
            self._more()
        part, self.read = self.read.split(end, 1)
        return part

    def _exactly(self, count):
        while len(self.read) < count:
            self._more()
        part, self.read = self.read[:count], self.read[count:]
        return part

    def answer(self, method="GET"):
        """The next answer; one to HEAD has no body."""
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        assert head[0].startswith("HTTP/1."), f"this begins no answer: {head[0]!r}"
        status = int(head[0].split(" ")[1])
        if status < 200:
            return self.answer(method)
        fields = [line.split(":", 1) for line in head[1:]]
        fields = [(name.lower(), value.strip()) for name, value in fields]
        answer = Answer(status, fields, b"")
        if method == "HEAD" or status in (204, 304):
            return answer
        if answer.one("transfer-encoding") == "chunked":
            while count := int(self._until(b"\r\n").split(b";")[0], 16):
                answer.body += self._exactly(count)
                self._until(b"\r\n")
            self._until(b"\r\n")
        elif answer.one("content-length") is not None:
            answer.body = self._exactly(int(answer.one("content-length")))
        else:
            try:
                while True:
                    self._more()
            except Closed:
                answer.body, self.read = self.read, b""
        return answer


def request(method, target, *fields, body=b"", host=HOST):
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def asked(*arguments, **named):
    """The answer to one request on a connection of its own."""
    connection = Connection()
    connection.send(request(*arguments, **named))
    answer = connection.answer(arguments[0])
    connection.close()
    return answer


def metric(name):
    """The sum of a metric of the service over its labels."""
    address = ("127.0.0.1", int(os.environ["METRICS"]))
    with socket.create_connection(address, 10) as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        text = b""
        while more := stream.recv(65536):
            text += more
    lines = [line.split() for line in text.decode().splitlines()]
    return sum(int(line[1]) for line in lines if line and line[0].split("{")[0] == name)
