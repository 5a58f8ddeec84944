"""A real HTTP server on loopback that answers by a script: one entry for each request, the last one for all later ones."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Play = Callable[["Handler"], None]


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Server:
    """What the script has seen, and where it listens."""

    script: list[Play]
    requests: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, asked: Asked) -> Play:
        """Note a request, and return what is answered to it."""
        with self.lock:
            self.requests.append(asked)
            return self.script[min(len(self.requests), len(self.script)) - 1]


class Handler(BaseHTTPRequestHandler):
    """Reads a request and plays its entry."""

    scripted: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        play = self.scripted.play(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        try:
            play(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent."""

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        said = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**said, **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def says(status: int, value: Any, **headers: str) -> Play:
    """Answer with JSON, or with bytes as they are."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda handler: handler.send(status, body, **headers)


def hangs(handler: Handler) -> None:
    """Say nothing at all."""
    handler.scripted.over.wait(30)
    handler.close_connection = True


def cuts(handler: Handler) -> None:
    """Promise more than is sent, and hang up."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"choices":[')
    handler.close_connection = True


def drips(head: bytes, drop: bytes) -> Play:
    """Send a byte or two for ever: no single read of it is ever late."""

    def play(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        while not handler.scripted.over.wait(0.05):
            handler.wfile.write(drop)

    return play


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
never_ends = drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")
never_begins = drips(HEAD + b"X-Slow: ", b"y")


def floods(handler: Handler) -> None:
    """Send more than anybody can want."""
    handler.close_connection = True
    handler.wfile.write(HEAD + b"\r\n")
    for _ in range(200):
        handler.wfile.write(b" " * 2**20)


def hangs_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


@contextmanager
def serving(*script: Play) -> Iterator[Server]:
    """Listen on a free port until the block ends."""
    server = Server(list(script))
    bound = type("Bound", (Handler,), {"scripted": server})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    listening.daemon_threads = True
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
